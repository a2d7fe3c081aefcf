"""One sample of an identity against its others: whether it may be of somebody else."""

from collections.abc import Iterable, Mapping

from index.exact import compare
from index.policy import Policy
from index.ranking import ranked
from index.records import Candidate, Feature, Modality, Template
from index.roll import centred, identity_of

OUTLIER_BELOW = 0.0
"""LLR in nats: under it a sample and the identity's others are more likely of two people than of one. On the
LFW development cut .008 of people's own second photos are under it, and .992 of other people's."""


def own_score(
    policy: Policy, sample: Mapping[Modality, Feature], others: Iterable[Template]
) -> Candidate | None:
    """The candidate that an identity of the other samples alone would be, were it all of the gallery.

    Returns:
        None where nothing can be told: there are no others, or what they share with the sample ranks and
        never decides, as descriptions do.
    """
    rest = tuple(others)
    vectors = centred(policy, sample)
    if not rest:
        return None
    identity = identity_of(policy, rest)
    shared = identity.mask.intersection(vectors)
    if not shared or not policy.masks[shared].may_match:
        return None
    (own,) = ranked(policy, vectors, (compare(policy, vectors, identity),), k=1, identities=1)
    return own
