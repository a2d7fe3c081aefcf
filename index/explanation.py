"""What would have made a decision a match: found by asking the decision itself, never by a rule beside it."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from index.agreement import evidence_beside
from index.fusion import score
from index.policy import Policy
from index.records import Candidate, IdentityId, Mask, Modality, Sufficient, TemplateId

MatchOf = Callable[[Sequence[Candidate], Mask], IdentityId | None]
"""Whom the decision returns, of these candidates, best first, for a probe of this mask."""

_STEPS = 100
"""Cosines are tried in hundredths: finer ones would promise more than a photo can be aimed at."""


def anybody(modalities: Sequence[Modality]) -> Candidate:
    """Stands for whoever is enrolled in these modalities, where the probe could be compared with nobody."""
    return Candidate(
        rank=1,
        identity_id=IdentityId(""),
        template_id=TemplateId(""),
        score=-np.inf,
        probability=0.0,
        similarity={},
        enrolled=frozenset(modalities),
    )


def would_suffice(
    policy: Policy, mask: Mask, about: Candidate, others: Sequence[Candidate], match_of: MatchOf
) -> Iterator[Sufficient]:
    """The single samples, by rank of their modality, that would have made `about` the match.

    The new sample is taken to agree with the face; what contradicted it otherwise still does.

    Args:
        policy: Whose constants.
        mask: The probe's.
        about: Who is to be returned.
        others: The other candidates, whose scores stay as they are.
        match_of: The decision.
    """
    for modality in policy.modalities:
        if modality in about.enrolled:
            was = about.similarity.get(modality)
            least = _least_cosine(policy, mask | {modality}, about, others, match_of, modality)
            if least is not None:
                yield Sufficient(
                    modality=modality, similarity=least, was=was, quality=policy.row(modality).quality_floor
                )


def _least_cosine(
    policy: Policy,
    mask: Mask,
    about: Candidate,
    others: Sequence[Candidate],
    match_of: MatchOf,
    modality: Modality,
) -> float | None:
    """The least cosine, over the present one, at which it is returned; None where even 1 does not do."""
    lowest = int(np.ceil(about.similarity.get(modality, -1.0) * _STEPS))
    cosines = np.arange(lowest, _STEPS + 1) / _STEPS
    # A sample of a modality in common takes the place of a comparison across modalities.
    known = {m: cosine for m, cosine in about.similarity.items() if m in policy.modalities}
    similarity = {m: np.full(cosines.shape, cosine) for m, cosine in known.items()} | {modality: cosines}
    agreement = {m: llr for m, llr in about.agreement.items() if m != modality}
    scores = score(policy, frozenset(similarity), similarity)

    def returned(step: int) -> bool:
        cosine_of = {**known, modality: float(cosines[step])}
        better = replace(
            about,
            score=float(scores[step]),
            similarity=cosine_of,
            agreement=evidence_beside(policy, cosine_of) | agreement,
        )
        ranked = sorted((better, *others), key=lambda candidate: -candidate.score)
        return match_of(ranked, mask) == about.identity_id

    last = len(cosines) - 1
    if not returned(last):
        return None
    # A greater cosine never lowers the score. It may raise a contradiction: what is found was asked for.
    return float(cosines[bisect_left(range(last), True, key=returned)])
