"""Whether a description is of the person that the face is taken for: who is heard, and what they say."""

from dataclasses import replace

import numpy as np
import pytest

from index.crossing import AgreementRow, Projection
from index.exact import ExactGallery
from index.policy import Policy
from index.records import IMAGE, TEXT, Candidate
from tests.factories import AUDIO, crossed, features, modality_rows, policy, template

ROW = AgreementRow(described=4.0, own=2.0, enrolled=1.0, bias=-0.5)
ACROSS = AgreementRow(described=0.0, own=3.0, enrolled=5.0, bias=-1.0)


def rules(*modalities: str) -> Policy:
    """Both ends of the crossing are the vectors themselves."""
    same = Projection(matrix=np.eye(2, dtype=np.float32), offset=np.zeros(2, dtype=np.float32), floor=1e-6)
    made = crossed(policy(*modalities), 2)  # type: ignore[arg-type]
    assert made.crossing
    crossing = replace(
        made.crossing, of_face=same, of_description=same, agreement=ROW, agreement_of_faces=ACROSS
    )
    return replace(made, crossing=crossing)


def found(made: Policy, probe: dict[str, list[float]], **enrolled: list[float]) -> Candidate:
    gallery = ExactGallery(made)
    gallery.enrol(template("ann", **enrolled))
    (candidate,) = gallery.search(features(**probe), 1).candidates
    return candidate


def test_all_three_witnesses_are_heard() -> None:
    """The identity's description, the probe's own face and the identity's face, each by its weight."""
    probe = {"image": [0.6, 0.8], "text": [1.0, 0.0]}
    candidate = found(rules(), probe, image=[0.8, 0.6], text=[0.0, 1.0])
    assert candidate.agreement == {TEXT: pytest.approx(-0.5 + 4.0 * 0.0 + 2.0 * 0.6 + 1.0 * 0.8)}


def test_an_identity_without_a_description_is_asked_for_its_face() -> None:
    """The row of that pair has its own weights."""
    candidate = found(rules(), {"image": [0.6, 0.8], "text": [1.0, 0.0]}, image=[0.8, 0.6])
    assert candidate.agreement == {TEXT: pytest.approx(-1.0 + 3.0 * 0.6 + 5.0 * 0.8)}


@pytest.mark.parametrize(
    ("probe", "enrolled"),
    [
        ({"image": [1.0, 0.0]}, {"image": [1.0, 0.0], "text": [1.0, 0.0]}),
        ({"text": [1.0, 0.0]}, {"image": [1.0, 0.0], "text": [1.0, 0.0]}),
        ({"image": [1.0, 0.0], "text": [1.0, 0.0]}, {"text": [1.0, 0.0]}),
        ({"image": [1.0, 0.0], "audio": [1.0, 0.0]}, {"image": [1.0, 0.0]}),
    ],
    ids=["no description", "no face", "no face to compare", "nobody knows the third"],
)
def test_without_a_face_and_a_description_nothing_can_be_told(
    probe: dict[str, list[float]], enrolled: dict[str, list[float]]
) -> None:
    """Nothing is made up where a witness is missing."""
    assert found(rules(IMAGE, TEXT, AUDIO), probe, **enrolled).agreement == {}


def test_a_description_in_unknown_words_contradicts_nobody() -> None:
    """Words that no face was described by are not evidence against one."""
    made = rules()
    assert made.crossing
    deaf = Projection(
        matrix=np.array([[1, 0], [0, 0]], dtype=np.float32), offset=np.zeros(2, dtype=np.float32), floor=0.1
    )
    made = replace(made, crossing=replace(made.crossing, of_description=deaf))
    assert found(made, {"image": [1.0, 0.0], "text": [0.0, 1.0]}, image=[1.0, 0.0]).agreement == {}


def test_what_no_crossing_leads_to_speaks_for_itself() -> None:
    """Of a third modality, or without a crossing, its own evidence t counts."""
    made = policy(IMAGE, TEXT, AUDIO, rows=modality_rows(IMAGE, TEXT, AUDIO))
    probe = {"image": [1.0, 0.0], "text": [1.0, 0.0], "audio": [1.0, 0.0]}
    candidate = found(made, probe, image=[1.0, 0.0], text=[0.0, 1.0], audio=[1.0, 0.0])
    assert candidate.agreement == {TEXT: pytest.approx(-2.0), AUDIO: pytest.approx(6.0)}
