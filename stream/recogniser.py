"""The heart without a clock: a probe becomes a decision.

`LiveGallery` binds a gallery to the thresholds that belong to its version, so that a decision is a pure
function of the probe, the gallery's version and the policy. `Recogniser` speaks the stream's types on one
side and the index's on the other.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from index.calibration import thresholds_for
from index.decision import decide
from index.errors import GalleryError, UnknownIdentityError
from index.gallery import Gallery
from index.policy import Policy
from index.records import (
    ContractId,
    Feature,
    IdentityId,
    Mask,
    Modality,
    SearchResult,
    TemplateId,
    Threshold,
)
from index.vectors import unit
from stream.decision_record import decision_id
from stream.events import (
    Decision,
    Enrolled,
    GalleryState,
    Probe,
    ProbeSample,
    Withdrawn,
)


class LiveGallery:
    """A gallery with the thresholds of its present version; changes and searches exclude one another.

    Thresholds cost one leave-one-out pass over the gallery, so they are made when the first probe of a new
    version asks for them, not at each change of a burst.
    """

    def __init__(self, gallery: Gallery, policy: Policy, *, target_fpir: float) -> None:
        self._gallery = gallery
        self.policy = policy
        self._target_fpir = target_fpir
        self._thresholds: Mapping[Mask, Threshold] = {}
        self._thresholds_version: int | None = None
        self._lock = threading.Lock()

    def apply(self, changes: Iterable[tuple[Enrolled | Withdrawn, int]]) -> tuple[GalleryError, ...]:
        """Follows the gallery topic: each change with the version that it makes.

        Returns:
            Why each template that was refused was: made under another contract, or of another dimension.
        """
        refused = []
        with self._lock:
            for change, version in changes:
                if isinstance(change, Withdrawn):
                    self._gallery.withdraw(change.identity_id, change.template_id, version=version)
                    continue
                try:
                    self._gallery.enrol(change.template, version=version)
                except GalleryError as error:
                    refused.append(error)
        return tuple(refused)

    def template_ids(self, identity_id: IdentityId) -> tuple[TemplateId, ...]:
        """The templates of an identity; none if it is unknown."""
        try:
            identity = self._gallery.identity(identity_id)
        except UnknownIdentityError:
            return ()
        return tuple(template.template_id for template in identity.templates)

    def search(
        self, features: Mapping[Modality, Feature], k: int
    ) -> tuple[SearchResult, Mapping[Mask, Threshold]]:
        """Candidates and thresholds of one and the same version."""
        with self._lock:
            if self._thresholds_version != self._gallery.version:
                self._thresholds = thresholds_for(self._gallery, self._target_fpir)
                self._thresholds_version = self._gallery.version
            return self._gallery.search(features, k), self._thresholds

    @property
    def state(self) -> GalleryState:
        """Version and size, of one moment."""
        with self._lock:
            return GalleryState(
                version=self._gallery.version,
                identities=len(self._gallery),
                templates=self._gallery.templates,
            )


def fuse_samples(samples: Iterable[ProbeSample]) -> Mapping[Modality, Feature]:
    """One feature per modality: the mean of its samples' vectors weighted by quality, of unit norm again.

    A sample whose quality is unknown weighs as much as the mean of those that are known. The fused quality
    is the best of the samples': the mean of a good and a bad photo is not a bad photo.
    """
    by_modality: dict[Modality, list[Feature]] = defaultdict(list)
    for sample in samples:
        if sample.event.modality is not None:
            by_modality[sample.event.modality].append(sample.feature)
    return {modality: _fuse(features) for modality, features in sorted(by_modality.items())}


def _fuse(features: list[Feature]) -> Feature:
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
        features = fuse_samples(probe.samples)
        result, thresholds = self._gallery.search(features, self._candidates)
        verdict = decide(result, features, thresholds, self._gallery.policy)
        covered = (
            *(sample.event for sample in probe.samples),
            *(missing.event for missing in probe.missing if missing.event is not None),
            *probe.markers,
        )
        return Decision(
            decision_id=decision_id(probe.subject_id, covered),
            probe=probe,
            verdict=verdict,
            model_contracts=self._contracts,
            gallery=GalleryState(
                version=result.version, identities=result.identities, templates=result.templates
            ),
        )
