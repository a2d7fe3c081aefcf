"""Scored identities -> ranked candidates: what every gallery publishes, computed in one place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from index.agreement import agreement
from index.fusion import probability
from index.policy import Policy
from index.records import Candidate, IdentityId, Modality, TemplateId, Vector
from index.roll import Identity, enrolled_as, placed_samples
from index.vectors import similarity


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
    nearest = _nearest_samples(policy, probe, best)
    return tuple(
        Candidate(
            rank=rank,
            identity_id=one.identity.identity_id,
            template_id=nearest[one.identity.identity_id],
            score=one.score,
            probability=probability(policy, frozenset(one.similarity), one.score, identities),
            similarity=one.similarity,
            enrolled=one.identity.mask.intersection(policy.modalities),
            agreement=agreement(policy, probe, one.identity, one.similarity),
        )
        for rank, one in enumerate(best, start=1)
    )


def _nearest_samples(
    policy: Policy, probe: Mapping[Modality, Vector], best: Sequence[Scored]
) -> Mapping[IdentityId, TemplateId]:
    """Each identity's sample nearest to the probe in the pair's leading modality; ties by template id."""
    nearest: dict[IdentityId, tuple[float, TemplateId]] = {}
    for modality, vector in probe.items():
        led = [one.identity for one in best if policy.leading(frozenset(one.similarity)) == modality]
        samples = [sample for identity in led for sample in identity.samples(enrolled_as(policy, modality))]
        if samples:
            # One call for all of them: the arithmetic is nothing beside what a call of numpy costs.
            rows = placed_samples(policy, samples, modality)
            for sample, cosine in zip(samples, similarity(rows, vector).tolist(), strict=True):
                if sample.identity_id not in nearest or cosine > nearest[sample.identity_id][0]:
                    nearest[sample.identity_id] = cosine, sample.template_id
    return {identity_id: template_id for identity_id, (_, template_id) in nearest.items()}
