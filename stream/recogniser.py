"""The heart without a clock: a probe becomes a decision.

`Recogniser` speaks the stream's types on one side and the index's on the other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from index.decision import decide
from index.policy import Policy
from index.records import ContractId, Feature, Modality
from index.vectors import unit
from stream.decision_record import decision_id
from stream.events import Decision, GalleryState, Probe, ProbeSample
from stream.live_gallery import LiveGallery


def fuse_samples(samples: Iterable[ProbeSample], policy: Policy) -> Mapping[Modality, Feature]:
    """One feature per modality: the mean of its samples' vectors weighted by quality, of unit norm again.

    A sample whose quality is unknown weighs as much as the mean of those that are known. One under the
    policy's floor is no evidence: it is left out where there are others, and alone it keeps its quality, by
    which the search passes it over. The fused quality is the best of the samples'.
    """
    by_modality: dict[Modality, list[Feature]] = defaultdict(list)
    for sample in samples:
        if sample.event.modality is not None:
            by_modality[sample.event.modality].append(sample.feature)
    return {
        modality: fuse_features(modality, features, policy)
        for modality, features in sorted(by_modality.items())
    }


def fuse_features(modality: Modality, features: Sequence[Feature], policy: Policy) -> Feature:
    """What `fuse_samples` makes of the samples of one modality; there is one at least."""
    features = [feature for feature in features if not policy.weak({modality: feature})] or features
    if len(features) == 1:
        return features[0]
    known = [f.quality for f in features if f.quality is not None]
    typical = sum(known) / len(known) if known else 1.0
    weights = np.array([typical if f.quality is None else f.quality for f in features], dtype=np.float64)
    total = np.einsum("b,bd->d", weights, np.stack([f.vector for f in features]).astype(np.float64))
    return Feature(
        vector=unit(total.astype(np.float32)),
        contract_id=features[0].contract_id,
        quality=max(known) if known else None,
    )


class Recogniser:
    """Probe to decision."""

    def __init__(
        self, gallery: LiveGallery, contracts: Mapping[Modality, ContractId], *, candidates: int
    ) -> None:
        self._gallery = gallery
        self._contracts = contracts
        self._candidates = candidates

    def decide(self, probe: Probe) -> Decision:
        """The decision about a probe at the gallery's present version. Pure but for that version."""
        features = fuse_samples(probe.samples, self._gallery.policy)
        result, thresholds = self._gallery.search(features, self._candidates)
        verdict = decide(result, features, thresholds, self._gallery.policy)
        covered = (
            *(sample.event for sample in probe.samples),
            *(missing.event for missing in probe.missing if missing.event is not None),
            *probe.markers,
        )
        return Decision(
            decision_id=decision_id(probe.subject_id, covered, final=probe.closed_by is not None),
            probe=probe,
            verdict=verdict,
            model_contracts=self._contracts,
            gallery=GalleryState(
                version=result.version, identities=result.identities, templates=result.templates
            ),
        )
