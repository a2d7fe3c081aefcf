"""A gallery searched by itself: what is found, and what every sample meets when it is left out."""

from dataclasses import replace

import numpy as np
import pytest

from index.exact import ExactGallery
from index.faiss_gallery import FaissGallery
from index.gallery_check import GalleryReport, check_gallery
from index.records import IMAGE, TEXT, Basis, IdentityId, Template, TemplateId, Weak
from index.self_search import Missed, self_searches
from tests.factories import feature, modality_rows, people, policy, template

ROWS = modality_rows(IMAGE, TEXT)
POLICY = policy(rows=(replace(ROWS[0], quality_floor=2.0), ROWS[1]))
"""Image LLR = 20·s − 6: a match needs the fallback of 4, a cosine of .5; LLR 0 is a cosine of .3."""

ANN, BOB, CY = [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]
"""Strangers: cosine 0."""


TARGET = dict.fromkeys(POLICY.probe_masks, 0.01)


def checked(*templates: Template, top: int = 0) -> GalleryReport:
    gallery = ExactGallery(POLICY)
    for one in templates:
        gallery.enrol(one)
    return check_gallery(gallery, target_fpir=TARGET, top=top)


def test_strangers_with_two_like_samples_each_are_no_finding() -> None:
    """A gallery as it should be."""
    report = checked(*(template(name, s, image=v) for name, v in (("ann", ANN), ("bob", BOB)) for s in "12"))
    assert (report.findings, report.confusable, report.single_sample) == (0, (), ())
    assert (report.identities, report.templates) == (2, 4)


def test_a_confusable_pair_is_told_once_by_the_samples_that_are_most_alike() -> None:
    """In a crowd that sets the threshold; the same two whichever was enrolled first."""
    axes = np.eye(30)
    crowd = [template(f"p{n}", image=axis) for n, axis in enumerate(axes[2:])]
    pair = [
        template("bob", "1", image=axes[0]),
        template("bob", "2", image=axes[0] - 0.2 * axes[1]),
        template("cy", "1", image=0.6 * axes[0] + 0.8 * axes[1]),
        template("cy", "2", image=0.7 * axes[0] + 0.7 * axes[1]),
    ]
    for enrolled in (pair, pair[::-1]):
        report = checked(*crowd, *enrolled)
        (found,) = report.confusable
        assert (found.identity_id, found.template_id, found.other_id) == ("bob", "1", "cy")
        assert found.score == pytest.approx(20 * 0.6552 - 6, abs=1e-3)
        assert found.over
        assert report.findings == 1


def test_a_duplicate_is_found_in_a_gallery_so_small_that_it_sets_the_threshold() -> None:
    """Two records of one person among three would be over no threshold of their own making."""
    report = checked(template("ann", image=ANN), template("bob", image=BOB), template("rob", image=BOB))
    (pair,) = report.confusable
    assert (pair.identity_id, pair.other_id, pair.threshold) == ("bob", "rob", 4.0)
    assert pair.over
    assert {row.threshold.score > pair.score for row in report.targets if row.mask == {IMAGE}} == {True}


def test_the_most_alike_are_shown_though_none_is_confusable() -> None:
    """So that an operator sees how much room there is; they are no findings."""
    enrolled = [template("ann", image=ANN), template("bob", image=[0.4, 0.9, 0, 0]), template("cy", image=CY)]
    report = checked(*enrolled, top=1)
    (pair,) = report.confusable
    assert {pair.identity_id, pair.other_id} == {"ann", "bob"}
    assert not pair.over
    assert report.findings == 0
    assert checked(*enrolled, top=0).confusable == ()


def test_one_description_for_two_people_confuses_nobody() -> None:
    """Evidence that never decides makes no pair."""
    same = [1.0, 0.0]
    report = checked(
        template("ann", image=ANN, text=same),
        template("bob", image=BOB, text=same),
        template("di", text=same),
        top=0,
    )
    assert report.confusable == ()


def test_a_sample_unlike_the_others_of_its_identity_is_an_outlier() -> None:
    """Of three the one that is wrong; with two nobody can tell which it is, so both are told."""
    three = checked(*(template("ann", s, image=v) for s, v in (("1", ANN), ("2", ANN), ("3", BOB))))
    assert [one.template_id for one in three.outliers] == ["3"]
    two = checked(template("ann", "1", image=ANN), template("ann", "2", image=BOB))
    assert [one.template_id for one in two.outliers] == ["1", "2"]
    assert {one.score for one in two.outliers} == {-6.0}


def test_a_weak_sample_is_told_with_its_numbers_and_is_not_searched() -> None:
    """It got in under another policy; a probe of its quality would be passed over."""
    weak = replace(template("ann", "w"), features={IMAGE: feature(ANN, quality=1.5)})
    report = checked(template("ann", "1", image=ANN), weak, template("bob", image=BOB))
    (found,) = report.weak
    assert (found.identity_id, found.template_id) == ("ann", "w")
    assert found.weak == Weak(modality=IMAGE, quality=1.5, floor=2.0)
    assert report.outliers == ()


def test_who_has_one_sample_is_listed_and_is_no_finding() -> None:
    """Nobody can tell whether it is of them, and nothing is wrong with it."""
    report = checked(template("bob", image=BOB), template("ann", image=ANN))
    assert (report.single_sample, report.findings) == (("ann", "bob"), 0)


def test_every_target_is_priced_for_every_mask_that_may_match() -> None:
    """The configured one among them, rarest last; text never matches and has no price."""
    gallery = ExactGallery(POLICY)
    for name, vector in (("ann", ANN), ("bob", BOB)):
        for sample in "12":
            gallery.enrol(template(name, sample, image=vector, text=vector))
    report = check_gallery(gallery, target_fpir={**TARGET, frozenset({IMAGE}): 0.02}, others=(0.1, 0.01))
    priced = [(row.threshold.target_fpir, row.mask) for row in report.targets]
    face, both = frozenset({IMAGE}), frozenset({IMAGE, TEXT})
    assert priced == [(0.1, face), (0.1, both), (0.02, face), (0.01, face), (0.01, both)]
    assert {row.threshold.basis for row in report.targets} == {Basis.POLICY}
    assert {(row.missed.missed, row.missed.searches) for row in report.targets} == {(0, 4)}


def test_what_a_sample_meets_is_the_gallery_without_it() -> None:
    """Own score and nearest others are those of a search after its withdrawal: no sample finds itself."""
    gallery = FaissGallery(POLICY)
    for number, samples in enumerate(people(12, 16, spread=1.2, samples=3, seed=4)):
        for sample, vector in enumerate(samples):
            gallery.enrol(template(f"p{number:02}", str(sample), image=vector))
    for search in list(self_searches(gallery)):
        one = search.template
        gallery.withdraw(one.identity_id, one.template_id)
        found = gallery.search(search.probe, 12).candidates
        gallery.enrol(one)
        own = next(c for c in found if c.identity_id == one.identity_id)
        assert search.own is not None
        assert search.own.score == own.score
        assert [c.score for c in search.others] == [c.score for c in found if c is not own][:5]


def test_the_expected_misses_are_those_of_the_decision() -> None:
    """A wrong photo is missed, and so are the two that it makes the mean of; the others come back."""
    templates = [template(name, s, image=v) for name, v in (("ann", ANN), ("bob", BOB)) for s in "123"]
    wrong = template("ann", "4", image=CY)
    alone = next(row.missed for row in checked(*templates).targets)
    assert (alone.missed, alone.searches) == (0, 6)
    spoilt = next(row.missed for row in checked(*templates, wrong).targets)
    assert (spoilt.missed, spoilt.searches) == (1, 7)


@pytest.mark.parametrize(
    ("missed", "searches", "interval"),
    # Reference values: scipy.stats.binomtest(k, n).proportion_ci(method="wilson").
    [
        (0, 10, (0.0, 0.277533)),
        (3, 10, (0.107789, 0.603222)),
        (10, 10, (0.722467, 1.0)),
        (1, 400, (0.000441, 0.014023)),
    ],
)
def test_the_interval_is_wilsons(missed: int, searches: int, interval: tuple[float, float]) -> None:
    """None missed of ten is no promise."""
    assert Missed(missed=missed, searches=searches).interval == pytest.approx(interval, abs=1e-5)


def test_of_nothing_searched_nothing_is_expected() -> None:
    """Unknown is not zero."""
    found = Missed(missed=0, searches=0)
    assert np.isnan([found.fnir, *found.interval]).all()


def test_every_template_ticks_the_progress_once() -> None:
    """Also those that have nothing to search with."""
    seen: list[tuple[IdentityId, TemplateId]] = []
    gallery = ExactGallery(POLICY)
    for one in (template("ann", image=ANN), template("di", text=[1, 0])):
        gallery.enrol(one)
    check_gallery(
        gallery, target_fpir=TARGET, on_template=lambda t: seen.append((t.identity_id, t.template_id))
    )
    assert seen == [("ann", "t1"), ("di", "t1")]
