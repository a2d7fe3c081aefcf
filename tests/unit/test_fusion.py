"""The fused score by hand, and the probability made of it."""

import numpy as np
import pytest

from index.fusion import evidence, probability, score
from index.policy import ProbabilityRow
from index.records import IMAGE, TEXT, Modality
from tests.factories import AUDIO, policy

THREE = policy(IMAGE, TEXT, AUDIO)
FACE = frozenset({IMAGE})
"""image: primary; text: t = 6s − 2; audio: t = 8s − 2; w = .02, c = 2; LLR = 20f − 6 with image, else f."""


def at(**similarity: float) -> dict[Modality, np.ndarray]:
    return {Modality(name): np.asarray(value) for name, value in similarity.items()}


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [
        (at(image=0.5), 20 * 0.5 - 6),
        (at(image=0.5, text=0.5), 20 * (0.5 + 0.02 * 1) - 6),
        (at(image=0.5, text=1.0), 20 * (0.5 + 0.02 * 2) - 6),
        (at(image=0.5, text=-1.0), 20 * (0.5 - 0.02 * 2) - 6),
        (at(image=0.5, text=0.5, audio=0.25), 20 * (0.5 + 0.02 * 1 + 0.02 * 0) - 6),
        (at(text=1.0), 4.0),
        (at(text=1.0, audio=1.0), 4.0 + 6.0),
        (at(text=-1.0, audio=0.5), -8.0 + 2.0),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_the_score_of_each_mask(similarity: dict[Modality, np.ndarray], expected: float) -> None:
    """Beside the primary the others are weighed and clipped; without it their evidence adds up whole."""
    assert float(score(THREE, frozenset(similarity), similarity)) == pytest.approx(expected)


def test_evidence_is_not_clipped() -> None:
    """How clearly a modality speaks is a question of its own."""
    assert float(evidence(THREE, TEXT, np.asarray(-1.0))) == pytest.approx(-8.0)


def test_the_same_score_promises_less_in_a_larger_gallery() -> None:
    """P = σ(a·score − b·ln N + c): with a = b = 1, e times as many identities cost one unit of score."""
    assert probability(THREE, FACE, 5.0, 1) == pytest.approx(1 / (1 + np.exp(-5)))
    assert probability(THREE, FACE, 5.0 + np.log(10), 10) == pytest.approx(probability(THREE, FACE, 5.0, 1))


@pytest.mark.parametrize(("llr", "expected"), [(1e6, 1.0), (-1e6, 0.0)])
def test_a_probability_never_overflows(llr: float, expected: float) -> None:
    """Scores are finite, exp() of them need not be."""
    assert probability(policy(probability=ProbabilityRow(a=1.0, b=0.0, c=0.0)), FACE, llr, 3) == expected
