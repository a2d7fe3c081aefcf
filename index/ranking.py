"""Scored identities -> ranked candidates: what every gallery publishes, computed in one place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from index.fusion import probability
from index.policy import Policy
from index.records import Candidate, Modality, TemplateId, Vector
from index.roll import Identity
from index.vectors import centre, similarity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """An identity and how well it fits the probe."""

    identity: Identity
    score: float
    similarity: Mapping[Modality, float]


def ranked(
    policy: Policy, probe: Mapping[Modality, Vector], scored: Iterable[Scored], k: int, identities: int
) -> tuple[Candidate, ...]:
    """The `k` best, by score, ties by identity id.

    Args:
        policy: Whose constants.
        probe: Centred vectors.
        scored: In any order.
        k: How many at most.
        identities: N, the size of the gallery.
    """
    best = sorted(scored, key=lambda one: (-one.score, one.identity.identity_id))[:k]
    return tuple(
        Candidate(
            rank=rank,
            identity_id=one.identity.identity_id,
            template_id=_nearest_sample(policy, probe, one),
            score=one.score,
            probability=probability(policy, one.score, identities),
            similarity=one.similarity,
        )
        for rank, one in enumerate(best, start=1)
    )


def _nearest_sample(policy: Policy, probe: Mapping[Modality, Vector], one: Scored) -> TemplateId:
    modality = policy.leading(frozenset(one.similarity))
    samples = one.identity.samples(modality)
    if len(samples) == 1:
        return samples[0].template_id
    vectors = np.stack([sample.features[modality].vector for sample in samples])
    cosines = similarity(centre(vectors, policy.row(modality).mean), probe[modality])
    return samples[int(np.argmax(cosines))].template_id
