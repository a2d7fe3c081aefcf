"""The gallery in plain numpy, one identity after the other: what search means, and every test's oracle."""

from collections.abc import Iterator, Mapping

import numpy as np

from index.base import BaseGallery
from index.fusion import score
from index.policy import Policy
from index.ranking import Scored
from index.records import Modality, Vector
from index.roll import Change, Identity
from index.vectors import similarity


class ExactGallery(BaseGallery):
    """Compares the probe with everybody, in O(N) Python: for tests and as documentation."""

    def _find(self, probe: Mapping[Modality, Vector], k: int) -> Iterator[Scored]:  # noqa: ARG002  everybody is scored
        policy = self._roll.policy
        for identity in self._roll:
            if probe.keys() & identity.mask:
                yield compare(policy, probe, identity)

    def _follow(self, change: Change) -> None:
        """Nothing to keep up with: the roll is the index."""


def compare(policy: Policy, probe: Mapping[Modality, Vector], identity: Identity) -> Scored:
    """The score of one pair, made of the modalities that both have; they must have one at least.

    Args:
        policy: Whose constants.
        probe: Centred vectors.
        identity: Whose robust means.
    """
    cosines = {
        modality: similarity(identity.means[modality][np.newaxis], vector)
        for modality, vector in probe.items()
        if modality in identity.means
    }
    return Scored(
        identity=identity,
        score=float(score(policy, frozenset(cosines), cosines)[0]),
        similarity={modality: float(cosine[0]) for modality, cosine in cosines.items()},
    )
