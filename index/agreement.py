"""Whether a probe's description is of the person that its face is taken for."""

from collections.abc import Mapping

import numpy as np

from index.fusion import evidence
from index.policy import Policy
from index.records import Modality, Vector
from index.roll import Identity


def agreement(
    policy: Policy,
    probe: Mapping[Modality, Vector],
    identity: Identity,
    similarity: Mapping[Modality, float],
) -> Mapping[Modality, float]:
    """The log-likelihood ratios that the probe's other modalities are of the one whose face it shows.

    A description is held against three witnesses: the identity's description, the probe's face and the
    identity's face, the latter two across modalities. A face that clears and a description of somebody else
    make a low one. Of a modality that no row is about, its own evidence t speaks.

    Args:
        policy: Whose constants.
        probe: Placed vectors.
        identity: Whom the face is taken for.
        similarity: Of the two.

    Returns:
        Nats by modality, by rank; without those of which nothing can be told.
    """
    if policy.primary not in similarity:
        return {}
    told = evidence_beside(policy, similarity)
    crossing = policy.crossing
    if crossing is None or crossing.description not in probe:
        return told
    described = similarity.get(crossing.description)
    row = crossing.agreement_of_faces if described is None else crossing.agreement
    said = crossing.of_description(probe[crossing.description])
    if not said.any():
        return told  # in words that no face was ever described by
    own, enrolled = (crossing.of_face(v) for v in (probe[crossing.face], identity.means[crossing.face]))
    told[crossing.description] = (
        row.bias
        + row.described * (described or 0.0)
        + row.own * _cosine(said, own)
        + row.enrolled * _cosine(said, enrolled)
    )
    return told


def evidence_beside(policy: Policy, similarity: Mapping[Modality, float]) -> dict[Modality, float]:
    """T of each modality beside the primary."""
    return {
        m: float(evidence(policy, m, np.asarray(similarity[m])))
        for m in policy.modalities[1:]
        if m in similarity
    }


def _cosine(one: Vector, other: Vector) -> float:
    return float(np.add.reduce(np.multiply(one, other, dtype=np.float64)))
