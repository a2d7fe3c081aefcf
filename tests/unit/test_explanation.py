"""A decision that is no match says what was lacking and what would have done: held against the decision."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from index.calibration import thresholds_for
from index.decision import decide
from index.exact import ExactGallery
from index.policy import Policy
from index.records import (
    IMAGE,
    TEXT,
    Agreement,
    Explanation,
    Feature,
    Modality,
    Outcome,
    Rival,
    Verdict,
    Weak,
)
from stream.cli.tail import line_of, why_no_match
from stream.decision_record import decision_value, decode_decision
from stream.decision_view import DecisionRecord
from stream.events import ClosedBy, ClosedWindow, SubjectId, Window
from tests.factories import crossed, feature, modality_rows, policy, template
from tests.stream_factories import decision, image, raw

IMAGE_ROW, TEXT_ROW = modality_rows(IMAGE, TEXT)
FLOOR = 2.0
POLICY = policy(rows=(replace(IMAGE_ROW, quality_floor=FLOOR), TEXT_ROW), conflict_below=-3.0)
"""Image LLR = 20·(s + .02·clip(6·t − 2)) − 6, threshold 4: a face alone needs a cosine of .5."""
NOISE = 5e-4
"""More than float32 does to a cosine, less than a step of the explanation."""

COSINES = st.integers(-20, 80).map(lambda hundredths: hundredths / 100)


def gallery(rules: Policy = POLICY) -> ExactGallery:
    """Ann and Bob, strangers to one another in both modalities; Cy by photo, Di by description alone."""
    made = ExactGallery(rules)
    made.enrol(template("ann", image=[1, 0, 0, 0, 0], text=[1, 0, 0, 0, 0]))
    made.enrol(template("bob", image=[0, 1, 0, 0, 0], text=[0, 1, 0, 0, 0]))
    made.enrol(template("cy", image=[0, 0, 1, 0, 0]))
    made.enrol(template("di", text=[0, 0, 0, 1, 0]))
    return made


def towards(modality: Modality, *cosines: float, quality: float | None = None) -> Feature:
    """A sample with these cosines to Ann, Bob, Cy and Di; the rest of it is like nobody."""
    known = [*cosines, *[0.0] * (4 - len(cosines))]
    return feature([*known, max(0.0, 1 - sum(c * c for c in known)) ** 0.5], modality, quality)


def decided(
    probe: Mapping[Modality, Feature], enrolled: ExactGallery | None = None, rules: Policy = POLICY
) -> Verdict:
    searched = gallery() if enrolled is None else enrolled
    return decide(searched.search(probe, 5), probe, thresholds_for(searched, 0.01), rules)


def explained(probe: Mapping[Modality, Feature]) -> Explanation:
    found = decided(probe).explanation
    assert found is not None
    return found


def suffices(found: Explanation) -> list[tuple[str, float, float | None]]:
    return [
        (sample.modality, sample.similarity, None if sample.was is None else round(sample.was, 6))
        for sample in found.would_suffice
    ]


def test_a_match_needs_no_explanation() -> None:
    """And nothing else goes without one."""
    assert decided({IMAGE: towards(IMAGE, 0.9)}).explanation is None


@pytest.mark.parametrize(
    ("probe", "outcome", "whom", "short_by", "would_suffice"),
    [
        pytest.param(
            {IMAGE: towards(IMAGE, 0.4)},
            "no_match",
            "ann",
            2.0,
            # A description of a cosine of 2/3 is worth .04 of the face: not enough.
            [("image", 0.5, 0.4)],
            id="a-face-a-little-short",
        ),
        pytest.param(
            {IMAGE: towards(IMAGE, 0.47)},
            "no_match",
            "ann",
            0.6,
            [("image", 0.5, 0.47), ("text", 0.59, None)],
            id="so-near-that-a-description-would-do",
        ),
        pytest.param(
            {TEXT: towards(TEXT, 1.0)},
            "no_match",
            "ann",
            None,
            [("image", 0.46, None)],
            id="a-description-wants-a-face",
        ),
        pytest.param(
            {TEXT: towards(TEXT, 0, 0, 0, 1.0)}, "no_match", "di", None, [], id="of-whom-no-photo-is-enrolled"
        ),
        pytest.param(
            {IMAGE: towards(IMAGE, 0, 0, 0.45)},
            "no_match",
            "cy",
            1.0,
            [("image", 0.5, 0.45)],
            id="of-whom-no-description-is-enrolled",
        ),
        pytest.param(
            {IMAGE: towards(IMAGE, 0.6, 0.59)},
            "ambiguous",
            "ann",
            None,
            [("image", 0.62, 0.6), ("text", 0.46, None)],
            id="two-alike",
        ),
        pytest.param(
            {IMAGE: towards(IMAGE, 0.6), TEXT: towards(TEXT, -0.5)},
            "conflict",
            "ann",
            None,
            # The description would have to be no contradiction; more of the face would make it a worse one.
            [("text", -0.16, -0.5)],
            id="a-contradiction",
        ),
        pytest.param(
            {IMAGE: towards(IMAGE, 0.9, quality=1.5)},
            "insufficient",
            None,
            None,
            [
                ("image", 0.5, None),
            ],
            id="only-a-weak-face",
        ),
        pytest.param({}, "insufficient", None, None, [("image", 0.5, None)], id="nothing"),
    ],
)
def test_the_explanation_of_each_case(
    probe: dict[Modality, Feature],
    outcome: str,
    whom: str | None,
    short_by: float | None,
    would_suffice: list[tuple[str, float, float | None]],
) -> None:
    """One row a kind of no."""
    verdict, found = decided(probe), explained(probe)
    assert (verdict.outcome, found.identity_id) == (outcome, whom)
    assert found.short_by == (None if short_by is None else pytest.approx(short_by, abs=1e-5))
    assert suffices(found) == would_suffice


def test_a_rival_a_contradiction_and_a_weak_sample_are_named_in_numbers() -> None:
    """Each in the field that is its own."""
    rival = explained({IMAGE: towards(IMAGE, 0.6, 0.59)}).rival
    assert rival == Rival(identity_id="bob", lead=pytest.approx(0.2, abs=1e-5), needed=POLICY.margin)  # type: ignore[arg-type]  # a NewType
    contradicted = explained({IMAGE: towards(IMAGE, 0.6), TEXT: towards(TEXT, -0.5)})
    assert contradicted.against == TEXT
    assert contradicted.agreement == Agreement(llr=pytest.approx(-5.0, abs=1e-4), needed=-3.0)
    weak = explained({IMAGE: towards(IMAGE, 0.9, quality=1.5), TEXT: towards(TEXT, 0.3)}).weak
    assert weak == (Weak(modality=IMAGE, quality=1.5, floor=FLOOR),)


def test_in_an_empty_gallery_nothing_would_have_sufficed() -> None:
    """Whatever the probe: there is nobody to be."""
    for probe in ({}, {IMAGE: towards(IMAGE, 0.9)}, {IMAGE: towards(IMAGE, 0.9, quality=1.0)}):
        found = decided(probe, ExactGallery(POLICY)).explanation
        assert found is not None
        assert found.would_suffice == ()


def test_a_probe_without_a_shared_modality_is_told_which_would_be() -> None:
    """A description where only photos are enrolled."""
    photos = ExactGallery(POLICY)
    photos.enrol(template("cy", image=[0, 0, 1, 0, 0]))
    verdict = decided({TEXT: towards(TEXT, 0.9)}, photos)
    assert verdict.outcome is Outcome.INSUFFICIENT
    assert verdict.explanation is not None
    assert suffices(verdict.explanation) == [("image", 0.5, None)]


def test_where_a_description_met_a_photo_the_photo_that_would_do_is_named() -> None:
    """A face in common takes the place of what was compared across modalities."""
    rules = crossed(POLICY, 5)
    photos = ExactGallery(rules)
    photos.enrol(template("cy", image=[0, 0, 1, 0, 0]))
    verdict = decided({TEXT: towards(TEXT, 0.9)}, photos, rules)
    assert verdict.candidates[0].similarity.keys() == {"text>image"}
    assert verdict.explanation is not None
    assert suffices(verdict.explanation) == [("image", 0.5, None)]


@given(
    face=st.none() | st.tuples(COSINES, COSINES),
    words=st.none() | st.tuples(COSINES, COSINES),
    quality=st.sampled_from([None, 1.0, 3.0]),
)
@example(face=(0.6, 0.59), words=None, quality=None)
@example(face=(0.6, 0.0), words=(-0.2, 0.0), quality=None)
def test_what_would_suffice_does_and_a_hundredth_less_does_not(
    face: tuple[float, float] | None, words: tuple[float, float] | None, quality: float | None
) -> None:
    """Searched in the gallery with the better sample: the explanation's promise is kept, and no larger."""
    cosines = {IMAGE: face, TEXT: words}
    probe = {
        modality: towards(modality, *pair, quality=quality if modality == IMAGE else None)
        for modality, pair in cosines.items()
        if pair is not None and sum(c * c for c in pair) < 1
    }
    found = decided(probe).explanation
    assume(found is not None and found.identity_id in {"ann", "bob"})
    assert found is not None
    place = 0 if found.identity_id == "ann" else 1
    for sample in found.would_suffice:
        for similarity, does in (
            (sample.similarity + NOISE, True),
            (sample.similarity - 0.01 - NOISE, False),
        ):
            pair = list(cosines[sample.modality] or (0.0, 0.0)) if sample.was is not None else [0.0, 0.0]
            pair[place] = similarity
            # A sample of a new modality moves the rival's score too: it is unlike the rival here.
            moved = sample.was is None and found.rival is not None and not does
            worse = sample.was is not None and similarity <= sample.was
            if not moved and not worse and sum(c * c for c in pair) < 1:
                better = {**probe, sample.modality: towards(sample.modality, *pair, quality=sample.quality)}
                assert (decided(better).identity_id == found.identity_id) is does, (sample, similarity)


WOULD = "would match ann by "
LIKER = "image similarity {:.2f}, was {:.2f}, quality 2.00 or more"


def shown(verdict: Verdict) -> DecisionRecord:
    """The verdict in a record, as it comes back from the wire."""
    window = ClosedWindow(
        subject_id=SubjectId("visit-17"),
        window=Window(start_ms=10, end_ms=110),
        closed_by=ClosedBy.DEADLINE,
        events=(image(10),),
    )
    record = decode_decision(raw(decision_value(replace(decision(window), verdict=verdict))))
    assert isinstance(record, DecisionRecord)
    return record


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ({IMAGE: towards(IMAGE, 0.9)}, []),
        (
            {IMAGE: towards(IMAGE, 0.47)},
            [
                "below_threshold",
                "0.60 short of 4.00",
                WOULD + LIKER.format(0.50, 0.47) + " or text similarity 0.59",
            ],
        ),
        (
            {IMAGE: towards(IMAGE, 0.6, 0.59)},
            [
                "within_margin",
                "ann leads bob by 0.20, 0.50 needed",
                WOULD + LIKER.format(0.62, 0.60) + " or text similarity 0.46",
            ],
        ),
        (
            {IMAGE: towards(IMAGE, 0.6), TEXT: towards(TEXT, -0.5)},
            [
                "modalities_contradict",
                "text speaks against ann, LLR -5.00, -3.00 needed",
                "would match ann by text similarity -0.16, was -0.50",
            ],
        ),
        (
            {IMAGE: towards(IMAGE, 0.9, quality=1.5)},
            [
                "no_usable_modality",
                "image quality 1.50 under 2.00",
                "would match somebody by image similarity 0.50, quality 2.00 or more",
            ],
        ),
    ],
    ids=["match", "no_match", "ambiguous", "conflict", "insufficient"],
)
def test_tail_says_why_in_one_line(probe: dict[Modality, Feature], words: list[str]) -> None:
    """The line that is read at three in the morning."""
    record = shown(decided(probe))
    assert list(why_no_match(record)) == words
    line = line_of(record, 0)
    assert "\n" not in line
    assert "visit-17" in line
    assert all(word in line for word in words)
