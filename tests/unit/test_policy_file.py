"""The policy file says what the policy is, and nothing that is not one becomes one."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.errors import ContractError, PolicyError
from index.policy import Policy
from index.records import IMAGE, TEXT, ContractId
from stream.features.encoders import contract_of
from stream.features.errors import PolicyFileError
from stream.features.models import PACKS
from stream.features.text import shipped_weights
from stream.policy_file import format_policy, load_policy, parse_policy, shipped_policy, targets_of
from tests.factories import AUDIO, crossed
from tests.factories import policy as make_policy


def with_mean(policy: Policy) -> Policy:
    first, *rest = policy.rows
    mean = np.linspace(-0.1, 0.1, 8, dtype=np.float32)
    scaling = np.linspace(0.5, 1.5, 8, dtype=np.float32)
    others = (replace(row, scaling=scaling) for row in rest)
    return replace(policy, rows=(replace(first, mean=mean, quality_floor=11.0), *others))


def assert_same_numbers(found: Any, expected: Any) -> None:
    if expected is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, expected)


FACE, BOTH = frozenset({IMAGE}), frozenset({IMAGE, TEXT})
MASKS = make_policy().masks
STRICT_FACES = make_policy(
    masks={**MASKS, FACE: replace(MASKS[FACE], target_fpir=0.003, tail_slope=0.8)}, target_fpir=0.02
)


def assert_same(found: Policy, expected: Policy) -> None:
    for row, wanted in zip(found.rows, expected.rows, strict=True):
        assert_same_numbers(row.mean, wanted.mean)
        assert_same_numbers(row.scaling, wanted.scaling)
        for name in ("modality", "llr", "quality_floor", "weight", "clip"):
            assert getattr(row, name) == getattr(wanted, name)
    for name in (
        "policy_id",
        "masks",
        "probability",
        "margin",
        "conflict_below",
        "target_fpir",
        "contracts",
        "crossings",
    ):
        assert getattr(found, name) == getattr(expected, name)
    for name in ("face", "description", "agreement", "agreement_of_faces") if expected.crossing else ():
        assert getattr(found.crossing, name) == getattr(expected.crossing, name)
    for end in ("of_face", "of_description") if expected.crossing else ():
        made, wanted_end = getattr(found.crossing, end), getattr(expected.crossing, end)
        assert_same_numbers(made.matrix, wanted_end.matrix)
        assert_same_numbers(made.offset, wanted_end.offset)
        assert made.floor == wanted_end.floor


@pytest.mark.parametrize(
    "policy",
    [
        make_policy(),
        with_mean(make_policy(conflict_below=-1.5)),
        crossed(make_policy(conflict_below=-1.5), 6),
        make_policy(IMAGE),
        make_policy(IMAGE, TEXT, AUDIO),
        STRICT_FACES,
    ],
    ids=[
        "two modalities",
        "with a mean",
        "with a crossing",
        "one modality",
        "three modalities",
        "a target of its own",
    ],
)
def test_a_policy_comes_back_from_its_file_as_it_was(policy: Policy) -> None:
    """Written and read, every number is the same to the last bit, for any list of modalities."""
    assert_same(parse_policy(format_policy(policy, fitted_on="made up")), policy)


def test_a_person_can_read_the_file() -> None:
    """Names, one constant a line, and a mean of hundreds of numbers on a single one."""
    lines = format_policy(with_mean(make_policy()), fitted_on="made up").splitlines()
    assert lines[1].strip() == '"schema_version": 2,'
    assert sum('"mean": [' in line for line in lines) == 1
    assert any('"image+text": {' in line for line in lines)
    assert len(lines) < 80


def changed(change: Callable[[dict[str, Any]], Any]) -> str:
    document = json.loads(format_policy(make_policy(), fitted_on="made up"))
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a policy"),
        ("[]", "not a policy"),
        ("{", "not a policy"),
        (changed(lambda d: d.update(schema_version=1)), "the first in schema_version"),
        (changed(lambda d: d.update(margn=1)), "the first in margn"),
        (changed(lambda d: d.pop("margin")), "the first in margin"),
        (changed(lambda d: d.update(margin="wide")), "the first in margin"),
        (changed(lambda d: d.update(margin=float("nan"))), "the first in margin"),
        (changed(lambda d: d.update(modalities=[])), "the first in modalities"),
        (changed(lambda d: d.update(margin=-1)), "contradicts itself"),
        (changed(lambda d: d["masks"].pop("image")), "contradicts itself.*image"),
        (changed(lambda d: d["masks"].update(sound=d["masks"]["text"])), "contradicts itself.*sound"),
        (changed(lambda d: d["modalities"][0]["llr"].update(scale=0)), "contradicts itself.*scale"),
        (changed(lambda d: d["modalities"][0].update(mean=[1.0])), "contradicts itself.*mean"),
    ],
)
def test_what_is_no_policy_is_refused_with_the_place_of_the_fault(text: str, message: str) -> None:
    """Neither a misspelt constant nor an impossible one gets through."""
    with pytest.raises(PolicyFileError, match=message):
        parse_policy(text)


@pytest.mark.parametrize(
    ("target_fpir", "by_mask", "of_faces", "of_both"),
    [
        (None, {}, 0.003, 0.02),
        (0.05, {}, 0.05, 0.05),
        (None, {"text+image": 0.1}, 0.003, 0.1),
        (0.05, {"image": 0.001}, 0.001, 0.05),
    ],
)
def test_the_operators_targets_go_before_the_policys(
    target_fpir: float | None, by_mask: dict[str, float], of_faces: float, of_both: float
) -> None:
    """His word for a mask, his word for all, the policy's for the mask, the policy's for all."""
    found = targets_of(STRICT_FACES, target_fpir, by_mask)
    assert found.keys() == set(STRICT_FACES.probe_masks)
    assert (found[FACE], found[BOTH]) == (of_faces, of_both)


def test_a_target_for_what_is_no_mask_is_refused() -> None:
    """A misspelt name must not leave the mask at another target in silence."""
    with pytest.raises(PolicyError, match=r"set for imag; policy test has image, .*TARGET_FPIR_BY_MASK"):
        targets_of(STRICT_FACES, None, {"imag": 0.01})


def test_the_file_is_named_in_the_message(tmp_path: Path) -> None:
    """An operator with five policies learns which one is meant, missing or damaged."""
    path = tmp_path / "mine.json"
    with pytest.raises(PolicyFileError, match=r"cannot read the policy .*mine.json.*SIGHTLINE_POLICY"):
        load_policy(path)
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(PolicyFileError, match=r"mine.json: not a policy"):
        load_policy(path)
    path.write_text(format_policy(make_policy(), fitted_on="made up"), encoding="utf-8")
    assert_same(load_policy(path), make_policy())


@pytest.mark.parametrize("pack", PACKS.values(), ids=list(PACKS))
def test_a_policy_comes_with_every_pack_and_fits_its_extractors(pack: Any) -> None:
    """Its contracts are those of the registered files and of the text weights, and its mean has their D."""
    policy = shipped_policy(pack.name)
    contracts = {IMAGE: contract_of(pack), TEXT: shipped_weights().contract_id}
    assert policy.contracts == contracts
    assert policy.bound_to(contracts).contracts == contracts
    mean = policy.row(IMAGE).mean
    assert mean is None or mean.shape == (pack.dimension,)
    with pytest.raises(ContractError, match="calibrate a new one"):
        policy.bound_to({IMAGE: ContractId("other-128-00000000")})


@pytest.mark.parametrize("pack", PACKS)
def test_a_description_alone_never_decides(pack: str) -> None:
    """The shipped policies let every mask with a face match, and text rank only."""
    may_match = {mask for mask, row in shipped_policy(pack).masks.items() if row.may_match}
    assert may_match == {frozenset({IMAGE}), frozenset({IMAGE, TEXT})}


@pytest.mark.parametrize("pack", ["nope", "../features/text_weights", ""])
def test_a_pack_without_a_policy_says_where_to_name_one(pack: str) -> None:
    """No default is made up, and no path is followed."""
    with pytest.raises(PolicyFileError, match=r"only with .*faceplugin.*SIGHTLINE_POLICY"):
        shipped_policy(pack)
