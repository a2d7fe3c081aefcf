"""Thresholds by leave-one-out on the gallery, and the fits of a policy."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from index.calibration import (
    SMALLEST_GALLERY,
    fit_affine_llr,
    threshold_at_fpir,
    thresholds_for,
    with_tails,
)
from index.errors import PolicyError
from index.exact import ExactGallery
from index.faiss_gallery import FaissGallery
from index.leave_one_out import impostor_scores, lot
from index.policy import Policy
from index.records import IMAGE, TEXT, Basis, IdentityId, Mask, Modality, Template
from index.tail import tail_slope
from tests.factories import AUDIO, crossed, feature, modality_rows, people, policy, template

FACE, DESCRIPTION = frozenset({IMAGE}), frozenset({TEXT})
BOTH = FACE | DESCRIPTION
DIMENSION = 32


def enrolled(count: int, *, samples: int = 2, seed: int = 0) -> list[Template]:
    faces = people(count, DIMENSION, spread=0.7, samples=samples, seed=seed)
    words = people(count, DIMENSION, spread=0.7, samples=samples, seed=seed + 1)
    return [
        template(f"p{i:05}", f"s{s}", image=faces[i, s], text=words[i, s])
        for i in range(count)
        for s in range(samples)
    ]


def gallery_of(templates: list[Template], rules: Policy | None = None) -> FaissGallery:
    gallery = FaissGallery(rules or policy())
    for one in templates:
        gallery.enrol(one)
    return gallery


@cache
def sized(count: int) -> FaissGallery:
    return gallery_of(enrolled(count, seed=20))


@cache
def strangers() -> list[Template]:
    return enrolled(600, samples=1, seed=77)


def restricted(one: Template, mask: Mask) -> Template:
    return replace(one, features={m: f for m, f in one.features.items() if m in mask})


def searched_one_by_one(templates: list[Template], mask: Mask, rules: Policy) -> list[float]:
    """Leave-one-out as its definition has it: withdraw, search the first sample, enrol again."""
    gallery = ExactGallery(rules)
    for one in templates:
        gallery.enrol(one)
    best = []
    for identity in gallery.contents().identities.values():
        firsts: dict[Modality, object] = {}
        for one in identity.templates:
            for modality, its in rules.usable(restricted(one, mask).features).items():
                firsts.setdefault(modality, its)
        if firsts.keys() != mask:
            continue
        gallery.withdraw(identity.identity_id)
        best += [candidate.score for candidate in gallery.search(firsts, 1).candidates]
        for one in identity.templates:
            gallery.enrol(one)
    return sorted(best)


def test_the_batch_is_leave_one_out_to_the_bit() -> None:
    """One matrix product gives the scores of searching one by one, whatever each identity is enrolled in."""
    rules = crossed(policy(IMAGE, TEXT, AUDIO), 5)
    rng = np.random.default_rng(4)
    masks = rules.probe_masks
    templates = []
    for i in range(60):
        for s in range(2):
            modalities = masks[rng.integers(len(masks))]
            vectors = {str(m): rng.standard_normal(5) for m in modalities}
            templates.append(template(f"p{i}", f"s{s}", **vectors))
    found = impostor_scores(gallery_of(templates, rules).contents(), limit=1000)
    assert found.keys() == set(masks)
    for mask, scores in found.items():
        assert scores.tolist() == searched_one_by_one(templates, mask, rules), mask


def test_samples_under_the_quality_floor_are_not_searched() -> None:
    """A probe like them would be passed over; the next sample of the identity stands in."""
    rows = modality_rows(IMAGE, TEXT)
    rules = policy(rows=(replace(rows[0], quality_floor=10.0), rows[1]))
    rng = np.random.default_rng(6)
    templates = [
        replace(
            template(f"p{i}", f"s{s}"),
            features={IMAGE: feature(rng.standard_normal(4), quality=[5.0, 15.0 if i else 6.0][s])},
        )
        for i in range(5)
        for s in range(2)
    ]
    found = impostor_scores(gallery_of(templates, rules).contents(), limit=1000)[FACE]
    assert len(found) == 4
    assert found.tolist() == searched_one_by_one(templates, FACE, rules)


def test_thresholds_depend_on_the_contents_alone() -> None:
    """Another order of enrolment, detours by withdrawal, another gallery: the same bits."""
    templates = enrolled(40)
    straight = gallery_of(templates)
    detour = ExactGallery(policy())
    for one in [*templates[::-1], template("gone", image=np.ones(DIMENSION))]:
        detour.enrol(one)
    detour.withdraw(IdentityId("gone"))
    for one in templates[:20]:
        detour.withdraw(one.identity_id, one.template_id)
        detour.enrol(one)
    assert thresholds_for(straight, 0.05) == thresholds_for(detour, 0.05)


def test_few_are_searched_where_many_are_enrolled() -> None:
    """At most `limit` of them, always the same."""
    contents = gallery_of(enrolled(50, samples=1)).contents()
    few = impostor_scores(contents, limit=30)[FACE]
    assert len(few) == 30
    assert few.tolist() == impostor_scores(contents, limit=30)[FACE].tolist()
    assert set(few) < set(impostor_scores(contents, limit=50)[FACE])


def test_a_gallery_too_small_to_ask_takes_the_policys_threshold() -> None:
    """One identity fewer than `SMALLEST_GALLERY` and as many as that."""
    small = thresholds_for(gallery_of(enrolled(SMALLEST_GALLERY - 1)), 0.2)
    enough = thresholds_for(gallery_of(enrolled(SMALLEST_GALLERY)), 0.2)
    assert {t.basis for t in small.values()} == {Basis.POLICY}
    assert {mask: t.score for mask, t in small.items()} == {
        mask: row.fallback_threshold for mask, row in policy().masks.items()
    }
    assert {t.basis for t in enough.values()} == {Basis.GALLERY}


def test_a_small_gallery_of_look_alikes_is_stricter_than_the_policy() -> None:
    """Ten people as alike as rendered faces: what they say themselves counts, for it is over the constant."""
    rng = np.random.default_rng(5)
    alike = rng.standard_normal(32) * 3
    gallery = ExactGallery(policy())
    for n in range(10):
        gallery.enrol(template(f"id{n}", "t", image=alike + rng.standard_normal(32) * 0.5))
    found = thresholds_for(gallery, 0.01)[FACE]
    assert found.basis is Basis.EXTRAPOLATED
    assert found.score > policy().masks[FACE].fallback_threshold


def test_a_target_rarer_than_the_gallery_can_show_is_extrapolated() -> None:
    """Rule of three: 40 searches speak for 3 in 40, not for 1 in 100."""
    gallery = gallery_of(enrolled(40))
    assert thresholds_for(gallery, 0.075)[FACE].basis == Basis.GALLERY
    assert thresholds_for(gallery, 0.01)[FACE].basis == Basis.EXTRAPOLATED


def test_each_mask_may_have_its_own_target() -> None:
    """Stricter for faces alone: the same searches, another threshold; the others keep theirs."""
    gallery = gallery_of(enrolled(60))
    asked = {FACE: 0.05, DESCRIPTION: 0.2, BOTH: 0.2}
    found = thresholds_for(gallery, asked)
    assert {mask: t.target_fpir for mask, t in found.items()} == asked
    assert found[FACE] == thresholds_for(gallery, 0.05)[FACE]
    assert found[BOTH] == thresholds_for(gallery, 0.2)[BOTH]


def test_a_threshold_says_how_sure_it_is_and_from_how_many() -> None:
    """Not everybody has every modality: searches and gallery are two numbers. A constant has no interval."""
    gallery = gallery_of(enrolled(60))
    gallery.enrol(template("described", text=np.ones(DIMENSION)))
    face = thresholds_for(gallery, 0.1)[FACE]
    assert (face.searches, face.gallery_size) == (60, 61)
    assert face.interval is not None
    assert face.interval[0] < face.score < face.interval[1]
    (alone,) = {t.interval for t in thresholds_for(FaissGallery(policy()), 0.1).values()}
    assert alone is None


def test_the_constant_grows_for_a_target_rarer_than_it_was_fitted_for() -> None:
    """Along the calibration set's tail; for a laxer one it stays, so small a gallery cannot say better."""
    rows = policy().masks
    rules = policy(masks=rows | {FACE: replace(rows[FACE], tail_slope=0.5)}, target_fpir=0.01)
    empty = FaissGallery(rules)
    assert thresholds_for(empty, 0.1)[FACE].score == rows[FACE].fallback_threshold
    rarer = thresholds_for(empty, 0.001)[FACE].score
    assert rarer == pytest.approx(rows[FACE].fallback_threshold + 0.5 * math.log(10))


def test_few_searches_lean_on_the_slope_of_the_policy() -> None:
    """Of 40 people six are in the tail: the flatter the policy says it is, the further out the threshold."""

    def score(slope: float) -> float:
        masks = {mask: replace(row, tail_slope=slope) for mask, row in policy().masks.items()}
        return thresholds_for(gallery_of(enrolled(40), policy(masks=masks)), 0.001)[FACE].score

    assert score(0.5) < score(2.0)


def test_a_calibration_gallery_gives_the_policy_its_tails() -> None:
    """Slopes from its quarters, by lot; the constant is its own threshold; what nobody has stays as is."""
    rules = policy(IMAGE, TEXT, AUDIO)
    contents = gallery_of(enrolled(80), rules).contents()
    fitted = with_tails(contents)
    names = sorted(contents.identities, key=lot)
    quarters = [[t for n in names[turn::4] for t in contents.identities[n].templates] for turn in range(4)]
    slope = tail_slope(impostor_scores(gallery_of(q, rules).contents())[FACE] for q in quarters)
    face = fitted.masks[FACE]
    assert face.tail_slope == pytest.approx(slope, abs=1e-4)
    assert face.fallback_threshold == pytest.approx(
        thresholds_for(gallery_of(enrolled(80), fitted), fitted.target_fpir)[FACE].score, abs=1e-4
    )
    sound = frozenset({AUDIO})
    assert fitted.masks[sound] == rules.masks[sound]


def test_an_empty_gallery_has_thresholds_too() -> None:
    """All the policy's: a decision never waits for a gallery."""
    assert {t.basis for t in thresholds_for(FaissGallery(policy()), 0.01).values()} == {Basis.POLICY}


@pytest.mark.parametrize("target", [0.3, 0.1, 0.03])
@pytest.mark.parametrize("mask", [FACE, DESCRIPTION, BOTH], ids=lambda mask: "+".join(sorted(mask)))
@pytest.mark.parametrize("size", [300, 1200])
def test_strangers_are_let_through_as_often_as_asked(size: int, mask: Mask, target: float) -> None:
    """Realised FPIR within a third of the target plus three standard errors of both samples."""
    gallery = sized(size)
    threshold = thresholds_for(gallery, target)[mask].score
    let_through = [
        gallery.search(restricted(one, mask).features, 1).candidates[0].score >= threshold
        for one in strangers()
    ]
    sampling = math.sqrt(target * (1 - target) * (1 / len(strangers()) + 1 / min(size, 1000)))
    assert abs(np.mean(let_through) - target) <= target / 3 + 3 * sampling


def test_the_threshold_grows_with_the_gallery() -> None:
    """The best of more impostors is better: a constant would let through ever more."""
    small, large = (thresholds_for(sized(size), 0.05)[FACE].score for size in (300, 1200))
    assert small < large


@pytest.mark.parametrize(
    ("scores", "fpir", "reached"), [(range(100), 0.05, 5), (range(100), 0.5, 50), ([1.0] * 100, 0.05, 0)]
)
def test_the_threshold_at_a_target_is_reached_by_no_more(
    scores: list[float], fpir: float, reached: int
) -> None:
    """As low as it may be; ties are all kept under."""
    threshold = threshold_at_fpir(scores, fpir)
    assert sum(s >= threshold for s in scores) == reached


@pytest.mark.parametrize("fpir", [0.02, 0.0, 1.0])
def test_a_target_that_the_searches_cannot_show_is_refused(fpir: float) -> None:
    """The rule of three, and shares are shares."""
    with pytest.raises(PolicyError, match="100 non-mated searches cannot show a target FPIR"):
        threshold_at_fpir(range(100), fpir)


@pytest.mark.parametrize("impostors", [2000, 20000])
def test_the_fitted_ratio_is_that_of_the_densities(impostors: int) -> None:
    """Two normals of one variance: LLR(s) = (μ₁ − μ₀)/σ²·s − (μ₁² − μ₀²)/2σ², whatever the counts."""
    rng = np.random.default_rng(3)
    fit = fit_affine_llr(rng.normal(0.5, 0.1, 20000), rng.normal(0.3, 0.1, impostors))
    assert fit.scale == pytest.approx(20.0, rel=0.1)
    assert fit.bias == pytest.approx(-8.0, rel=0.1)


def test_a_fit_that_says_nothing_is_refused() -> None:
    """Swapped sets, and no set at all."""
    with pytest.raises(PolicyError, match="Are the sets swapped"):
        fit_affine_llr([0.1, 0.2], [0.8, 0.9])
    with pytest.raises(PolicyError, match="0 genuine and 2 impostor"):
        fit_affine_llr([], [0.8, 0.9])
