"""A policy that exists is consistent; one that is not says what it lacks."""

from dataclasses import replace

import numpy as np
import pytest

from index.errors import ContractError, PolicyError
from index.policy import Affine, MaskRow
from index.records import IMAGE, TEXT, ContractId
from tests.factories import AUDIO, contract, feature, mask_rows, modality_rows, policy

BOTH = frozenset({IMAGE, TEXT})
ROWS = modality_rows(IMAGE, TEXT)
MASKS = mask_rows(IMAGE, TEXT)


def row(**changes: object) -> dict[str, object]:
    return {"rows": (ROWS[0], replace(ROWS[1], **changes))}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": ()}, "at least one modality row"),
        ({"rows": (*ROWS, ROWS[0])}, "3 rows for 2 modalities"),
        (row(llr=Affine(scale=0.0, bias=0.0)), "llr.scale 0"),
        (row(weight=-0.1), "weight -0.1"),
        (row(clip=0.0), "clip 0"),
        (row(quality_floor=float("nan")), "not finite"),
        (row(mean=np.zeros(4)), "must be float32"),
        (row(mean=np.array([1.0, 0.0], dtype=np.float32)), "norm 1, over 0.999"),
        (
            {"masks": {mask: m for mask, m in MASKS.items() if mask != BOTH}},
            r"lacks the mask rows image \+ text",
        ),
        ({"masks": {**MASKS, frozenset({AUDIO}): MASKS[BOTH]}}, "mask rows audio that its rows cannot make"),
        ({"masks": {**MASKS, frozenset(): MASKS[BOTH]}}, "mask rows nothing that"),
        ({"masks": {**MASKS, BOTH: replace(MASKS[BOTH], scale=-1.0)}}, r"image \+ text has scale -1"),
        ({"masks": {**MASKS, BOTH: replace(MASKS[BOTH], bias=float("inf"))}}, "not finite"),
        ({"masks": {**MASKS, BOTH: replace(MASKS[BOTH], tail_slope=0.0)}}, "tail_slope 0"),
        ({"masks": {**MASKS, BOTH: replace(MASKS[BOTH], target_fpir=0.0)}}, "target_fpir is 0"),
        ({"margin": -0.1}, "margin -0.1"),
        ({"target_fpir": 1.0}, "target_fpir is 1"),
        ({"contracts": {AUDIO: contract(AUDIO)}}, "contracts for audio, but no rows"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    """Each fault by its own message."""
    with pytest.raises(PolicyError, match=message):
        policy(**changes)


def test_the_first_row_is_the_primary_and_leads_every_mask_it_is_in() -> None:
    """Without it, the next in rank leads."""
    three = policy(IMAGE, TEXT, AUDIO)
    assert three.primary == IMAGE
    assert three.leading(frozenset({TEXT, IMAGE})) == IMAGE
    assert three.leading(frozenset({AUDIO, TEXT})) == TEXT


def test_an_unknown_modality_has_no_row() -> None:
    """A probe of a kind the policy has never heard of is an error of configuration."""
    with pytest.raises(PolicyError, match="no row for modality 'audio', only for image"):
        policy().row(AUDIO)


@pytest.mark.parametrize(("quality", "usable"), [(10.9, False), (11.0, True), (None, True)])
def test_a_feature_under_its_floor_is_no_evidence(quality: float | None, usable: bool) -> None:
    """At the floor it is; of unknown quality it is given the benefit of the doubt."""
    rules = policy(rows=(replace(ROWS[0], quality_floor=11.0), ROWS[1]))
    probe = {IMAGE: feature([1, 0], quality=quality), TEXT: feature([1, 0], TEXT)}
    assert (IMAGE in rules.usable(probe)) is usable
    assert TEXT in rules.usable(probe)


def test_an_unbound_policy_takes_the_extractors_contracts() -> None:
    """Those of modalities it has no row for are passed over."""
    bound = policy(contracts={}).bound_to({IMAGE: contract(IMAGE), AUDIO: contract(AUDIO)})
    assert bound.contracts == {IMAGE: contract(IMAGE)}


def test_a_policy_is_not_bound_to_another_models_extractor() -> None:
    """Constants fitted on one embedding mean nothing on another."""
    with pytest.raises(
        ContractError, match="fitted for image vectors of image-v1, the extractor makes other"
    ):
        policy().bound_to({IMAGE: ContractId("other")})


def test_records_of_a_policy_are_frozen() -> None:
    """A running gallery's constants cannot change under it."""
    with pytest.raises(AttributeError):
        MaskRow(scale=1.0, bias=0.0, may_match=True, fallback_threshold=0.0).scale = 2.0  # type: ignore[misc]
