"""Enrolment review: what is found of a sample, and what becomes of it under each policy."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.exact import ExactGallery
from index.policy import Policy
from index.records import IMAGE, TEXT, Feature, Modality, Template, TemplateId
from stream.events import Enrolled, EnrolmentRequest
from stream.features.extractor import Unusable
from stream.live_gallery import LiveGallery
from stream.reasons import Reason
from stream.review import FINDINGS, REVIEW_POLICIES, Review, ReviewMode, ReviewPolicy, review
from tests.factories import feature, features, modality_rows, policy, template

ROWS = modality_rows(IMAGE, TEXT)
POLICY = policy(rows=(replace(ROWS[0], quality_floor=2.0), ROWS[1]))
"""Image LLR = 20·s − 6: a match needs the fallback of 4, a cosine of .5; LLR 0 is a cosine of .3."""

ANN, BOB = [1, 0, 0, 0], [0, 1, 0, 0]
"""Strangers: cosine 0."""
NEW = [0, 0, 1, 0]
"""Like neither."""
LIKE_BOB = [0, 0.6, 0.8, 0]
"""Cosine .6 with Bob: LLR 6."""


def live(*templates: Template, rules: Policy = POLICY) -> LiveGallery:
    gallery = LiveGallery(ExactGallery(rules), rules, target_fpir=0.01)
    assert gallery.apply((Enrolled(template=t), n) for n, t in enumerate(templates, start=1)) == ()
    return gallery


def request(identity: str) -> EnrolmentRequest:
    return EnrolmentRequest(
        request_id="r-1",
        identity_id=identity,
        template_id=None,
        action="enrol",
        metadata={"site": "gate"},
        consent_ref="c-9",
        requested_at_ms=5,
    )


def reviewed(
    identity: str,
    extracted: Mapping[Modality, Feature | Unusable],
    gallery: LiveGallery,
    *,
    mode: ReviewMode = ReviewMode.LENIENT,
    sample: str = "new",
) -> Review:
    return review(
        request(identity),
        extracted,
        TemplateId(sample),
        gallery=gallery,
        policy=REVIEW_POLICIES[mode],
    )


GALLERY = live(template("ann", "1", image=ANN), template("bob", "1", image=BOB, text=[1, 0]))
WEAK = {IMAGE: feature(NEW, quality=1.5)}
NO_FACE = Unusable(reason=Reason.NO_FACE, detail="no face in 640 x 480 pixels")


@pytest.mark.parametrize(
    ("identity", "extracted", "lenient", "strict"),
    [
        pytest.param("cy", features(image=NEW), ([], []), ([], []), id="like-nobody"),
        pytest.param(
            "cy",
            features(image=LIKE_BOB),
            ([], ["possible_duplicate"]),
            (["possible_duplicate"], []),
            id="like-somebody-else",
        ),
        pytest.param("bob", features(image=LIKE_BOB), ([], []), ([], []), id="like-himself-is-no-duplicate"),
        pytest.param(
            "ann",
            features(image=NEW),
            ([], ["outlier_sample"]),
            (["outlier_sample"], []),
            id="unlike-her-other-sample",
        ),
        pytest.param(
            "ann",
            features(image=LIKE_BOB),
            ([], ["possible_duplicate", "outlier_sample"]),
            (["possible_duplicate", "outlier_sample"], []),
            id="unlike-herself-and-like-another",
        ),
        pytest.param("cy", WEAK, (["low_quality"], []), (["low_quality"], []), id="weak"),
        pytest.param("cy", features(text=[1, 0]), ([], []), ([], []), id="a-description-shows-no-duplicate"),
        pytest.param("bob", features(text=[0, 1]), ([], []), ([], []), id="nor-an-outlier"),
        pytest.param("cy", {IMAGE: NO_FACE}, (["no_face"], []), (["no_face"], []), id="no-feature"),
        pytest.param(
            "cy",
            {IMAGE: NO_FACE, **features(text=[1, 0])},
            (["no_face"], []),
            (["no_face"], []),
            id="one-unusable-sample-rejects-all",
        ),
        pytest.param(
            "cy",
            {IMAGE: NO_FACE, TEXT: replace(NO_FACE)},
            (["no_face"], []),
            (["no_face"], []),
            id="a-code-is-said-once",
        ),
        pytest.param("cy", {}, (["bad_request"], []), (["bad_request"], []), id="no-sample"),
    ],
)
def test_what_each_policy_makes_of_each_finding(
    identity: str,
    extracted: Mapping[Modality, Feature | Unusable],
    lenient: tuple[list[str], list[str]],
    strict: tuple[list[str], list[str]],
) -> None:
    """One row a finding: (reasons, warnings) by mode."""
    for mode, expected in ((ReviewMode.LENIENT, lenient), (ReviewMode.STRICT, strict)):
        found = reviewed(identity, extracted, GALLERY, mode=mode).result
        assert (list(found.reasons), list(found.warnings)) == expected, mode
        assert found.accepted == (not found.reasons)


def test_a_duplicate_names_whom_and_how_close() -> None:
    """In a field for programs, and in words."""
    found = reviewed("cy", features(image=LIKE_BOB), GALLERY).result
    assert found.resembles is not None
    assert (found.resembles.identity_id, found.resembles.template_id) == ("bob", "1")
    assert found.resembles.score == pytest.approx(6.0)
    assert found.resembles.threshold == 4.0
    assert found.resembles.similarity == {IMAGE: pytest.approx(0.6)}
    assert "score 6.00 with bob (1), a match from 4.00" in found.detail


def test_what_is_accepted_is_enrolled_as_it_was_asked_for() -> None:
    """A warning changes nothing of the template."""
    sample = features(image=LIKE_BOB)
    assert reviewed("cy", sample, GALLERY).template == Template(
        identity_id="cy",  # type: ignore[arg-type]  # a NewType, as the wire has it
        template_id=TemplateId("new"),
        features=sample,
        enrolled_at_ms=5,
        metadata={"site": "gate"},
        consent_ref="c-9",
    )


def test_a_sample_that_replaces_one_is_not_compared_with_it() -> None:
    """Otherwise a wrong photo could never be mended under its own name."""
    assert reviewed("ann", features(image=NEW), GALLERY, sample="1").result.warnings == ()


def test_the_best_of_all_others_is_named_even_when_the_identity_itself_is_nearer() -> None:
    """A sample between two people is a finding although it is more like its own."""
    found = reviewed("ann", features(image=[0.72, 0.69, 0, 0]), GALLERY).result
    assert found.warnings == (Reason.POSSIBLE_DUPLICATE,)
    assert found.resembles is not None
    assert found.resembles.identity_id == "bob"


def test_in_an_empty_gallery_nothing_is_found() -> None:
    """The first enrolment is like nobody."""
    found = reviewed("ann", features(image=ANN), live()).result
    assert (found.accepted, found.warnings, found.detail) == (True, (), "enrolled")


@given(st.sets(st.sampled_from(sorted(FINDINGS))))
def test_a_finding_is_a_reason_or_a_warning_and_never_both(rejects: set[Reason]) -> None:
    """Whatever a policy rejects: nothing that was found is lost."""
    sample = {IMAGE: feature(LIKE_BOB, quality=9.0), TEXT: feature([1, 0], TEXT)}
    found = review(
        request("ann"),
        sample,
        TemplateId("new"),
        gallery=GALLERY,
        policy=ReviewPolicy(rejects=frozenset(rejects)),
    ).result
    assert set(found.reasons) == {Reason.POSSIBLE_DUPLICATE, Reason.OUTLIER_SAMPLE} & rejects
    assert set(found.warnings) == {Reason.POSSIBLE_DUPLICATE, Reason.OUTLIER_SAMPLE} - rejects


@pytest.mark.parametrize("mode", ReviewMode)
def test_every_mode_has_a_policy_about_findings_only(mode: ReviewMode) -> None:
    """A setting that was accepted is one that the worker knows."""
    assert REVIEW_POLICIES[mode].rejects <= FINDINGS
