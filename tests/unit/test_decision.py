"""The open-set decision, as a table: candidates and thresholds in, verdict out."""

from dataclasses import replace

import pytest

from index.agreement import evidence_beside
from index.decision import VerdictReason, decide
from index.fusion import score
from index.policy import Policy
from index.records import (
    IMAGE,
    TEXT,
    Basis,
    Candidate,
    Feature,
    IdentityId,
    Mask,
    Modality,
    Outcome,
    SearchResult,
    TemplateId,
    Threshold,
)
from tests.factories import feature, features, modality_rows, policy

POLICY = policy(conflict_below=-3.0)
"""image LLR = 20·(s + w·t) − 6, text LLR = 6s − 2; margin .5; only masks with an image may match."""

FACE = features(image=[1, 0])
DESCRIPTION = features(text=[1, 0])
BOTH = features(image=[1, 0], text=[1, 0])


def candidate(name: str, rules: Policy = POLICY, **similarity: float) -> Candidate:
    cosines = {Modality(m): s for m, s in similarity.items()}
    return Candidate(
        rank=1,
        identity_id=IdentityId(name),
        template_id=TemplateId("t1"),
        score=float(score(rules, frozenset(cosines), cosines)),  # type: ignore[arg-type]
        probability=0.5,
        similarity=cosines,
        agreement=evidence_beside(rules, cosines),
    )


def result(*candidates: Candidate, identities: int = 100) -> SearchResult:
    return SearchResult(candidates=candidates, version=1, identities=identities, templates=identities)


def thresholds(value: float = 4.0, basis: Basis = Basis.GALLERY) -> dict[Mask, Threshold]:
    one = Threshold(score=value, target_fpir=0.01, gallery_size=100, policy_id="test", basis=basis)
    return dict.fromkeys(POLICY.masks, one)


@pytest.mark.parametrize(
    ("probe", "candidates", "outcome", "reasons", "who"),
    [
        pytest.param(FACE, [candidate("ann", image=0.6)], "match", [], "ann", id="clears"),
        pytest.param(FACE, [candidate("ann", image=0.5)], "match", [], "ann", id="clears-at-the-threshold"),
        pytest.param(FACE, [candidate("ann", image=0.49)], "no_match", ["below_threshold"], None, id="short"),
        pytest.param(
            FACE,
            [candidate("ann", image=0.6), candidate("bob", image=0.59)],
            "ambiguous",
            ["within_margin"],
            None,
            id="two-clear-within-the-margin",
        ),
        pytest.param(
            FACE,
            [candidate("ann", image=0.6), candidate("bob", image=0.55)],
            "match",
            [],
            "ann",
            id="two-clear-a-margin-apart",
        ),
        pytest.param(
            FACE,
            [candidate("ann", image=0.501), candidate("bob", image=0.499)],
            "match",
            [],
            "ann",
            id="a-runner-up-that-does-not-clear-is-no-rival",
        ),
        pytest.param(
            DESCRIPTION,
            [candidate("ann", text=1.0)],
            "no_match",
            ["mask_cannot_match"],
            None,
            id="a-description-never-decides",
        ),
        pytest.param(
            BOTH,
            [candidate("ann", text=1.0)],
            "no_match",
            ["mask_cannot_match"],
            None,
            id="nor-when-only-the-description-is-shared",
        ),
        pytest.param(
            BOTH,
            [candidate("ann", image=0.6, text=0.9), candidate("bob", text=1.0)],
            "match",
            [],
            "ann",
            id="a-described-rival-a-margin-apart",
        ),
        pytest.param(
            BOTH,
            [candidate("bob", text=1.0), candidate("ann", image=0.49, text=0.5)],
            "ambiguous",
            ["within_margin"],
            None,
            id="a-described-rival-ahead",
        ),
        pytest.param(
            BOTH,
            [candidate("ann", image=0.6, text=-0.5)],
            "conflict",
            ["modalities_contradict"],
            None,
            id="a-face-that-clears-against-its-description",
        ),
        pytest.param(
            BOTH,
            [candidate("ann", image=0.51, text=-0.5)],
            "conflict",
            ["modalities_contradict"],
            None,
            id="also-when-the-contradiction-pulled-it-under",
        ),
        pytest.param(
            BOTH,
            [candidate("ann", image=0.3, text=-0.5)],
            "no_match",
            ["below_threshold"],
            None,
            id="two-that-are-both-unlike-do-not-conflict",
        ),
        pytest.param(FACE, [], "insufficient", ["no_shared_modality"], None, id="nobody-to-compare-with"),
        pytest.param({}, [], "insufficient", ["no_usable_modality"], None, id="no-probe"),
    ],
)
def test_the_verdict_of_each_case(
    probe: dict[Modality, Feature],
    candidates: list[Candidate],
    outcome: str,
    reasons: list[str],
    who: str | None,
) -> None:
    """One row a law of the decision."""
    verdict = decide(result(*candidates), probe, thresholds(), POLICY)
    assert (verdict.outcome, list(verdict.reasons), verdict.identity_id) == (outcome, reasons, who)
    assert verdict.candidates == tuple(candidates)
    assert (verdict.threshold is None) == (outcome == Outcome.INSUFFICIENT)


def test_an_empty_gallery_is_insufficient() -> None:
    """Nobody enrolled is another fact than nobody alike."""
    verdict = decide(result(identities=0), FACE, thresholds(), POLICY)
    assert (verdict.outcome, verdict.reasons) == (Outcome.INSUFFICIENT, (VerdictReason.GALLERY_EMPTY,))


def test_without_a_conflict_row_contradictions_are_not_asked_for() -> None:
    """`conflict_below` None: the clipped score alone decides."""
    verdict = decide(result(candidate("ann", image=0.6, text=-0.5)), BOTH, thresholds(), policy())
    assert verdict.outcome == Outcome.MATCH


def test_the_threshold_is_that_of_the_probes_usable_mask() -> None:
    """A blurred face is passed over: what is left is judged as a description, and the verdict says why."""
    rows = modality_rows(IMAGE, TEXT)
    strict = policy(rows=(replace(rows[0], quality_floor=11.0), rows[1]))
    per_mask = thresholds()
    per_mask[frozenset({TEXT})] = replace(per_mask[frozenset({TEXT})], score=3.5)
    probe = {**DESCRIPTION, IMAGE: feature([1, 0], quality=3.0)}
    verdict = decide(result(candidate("ann", text=0.95)), probe, per_mask, strict)
    assert verdict.threshold == per_mask[frozenset({TEXT})]
    assert verdict.reasons == (VerdictReason.MASK_CANNOT_MATCH, VerdictReason.LOW_QUALITY)


@pytest.mark.parametrize(
    ("basis", "warning"),
    [(Basis.POLICY, "threshold_from_policy"), (Basis.EXTRAPOLATED, "threshold_extrapolated")],
)
def test_a_threshold_that_the_gallery_does_not_vouch_for_is_a_warning(basis: Basis, warning: str) -> None:
    """The outcome stands; the reader is told."""
    verdict = decide(result(candidate("ann", image=0.6)), FACE, thresholds(basis=basis), POLICY)
    assert (verdict.outcome, verdict.reasons) == (Outcome.MATCH, (warning,))


@pytest.mark.parametrize(
    ("similarities", "margin"), [([0.6, 0.5], 2.0), ([0.6, 0.5, 0.1], 2.0), ([0.6], None), ([], None)]
)
def test_the_margin_is_rank_one_minus_rank_two(similarities: list[float], margin: float | None) -> None:
    """Reported whether or not anybody clears; None where there is no rank two."""
    found = [candidate(f"p{i}", image=s) for i, s in enumerate(similarities)]
    verdict = decide(result(*found), FACE, thresholds(), POLICY)
    assert verdict.margin == (None if margin is None else pytest.approx(margin))
