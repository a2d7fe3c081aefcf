"""The heart without a clock: a probe becomes a decision, a reviewed enrolment becomes a template.

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
    Template,
    TemplateId,
    Threshold,
)
from index.vectors import unit
from stream.decision_record import decision_id
from stream.events import (
    Decision,
    Enrolled,
    EnrolmentRequest,
    EnrolmentResult,
    GalleryState,
    Probe,
    ProbeSample,
    Withdrawn,
)
from stream.features.extractor import Unusable
from stream.reasons import Reason


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
    """Probe to decision, and enrolment request to template or rejection."""

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

    def review(
        self,
        request: EnrolmentRequest,
        extracted: Mapping[Modality, Feature | Unusable],
        template_id: TemplateId,
    ) -> Template | EnrolmentResult:
        """The template that a request makes, or the result that says why there is none.

        One unusable sample rejects the request: an operator who sent a photo wants it enrolled, and would not
        notice for months that only the description was.
        """
        features = {m: f for m, f in extracted.items() if isinstance(f, Feature)}
        unusable = {m: f for m, f in extracted.items() if isinstance(f, Unusable)} | self._weak(features)
        if unusable or not features:
            return EnrolmentResult(
                request_id=request.request_id,
                identity_id=request.identity_id,
                template_id=template_id,
                accepted=False,
                reasons=tuple(u.reason for u in unusable.values()) or (Reason.BAD_REQUEST,),
                detail="; ".join(f"{m}: {u.detail}" for m, u in sorted(unusable.items()))
                or "the request carries no sample; give an image, a text or an embedding",
            )
        return Template(
            identity_id=IdentityId(request.identity_id),
            template_id=template_id,
            features=features,
            enrolled_at_ms=request.requested_at_ms,
            metadata=request.metadata,
            consent_ref=request.consent_ref,
            expires_at_ms=request.expires_at_ms,
        )

    def _weak(self, features: Mapping[Modality, Feature]) -> dict[Modality, Unusable]:
        """Those under the quality floor: as templates they would be found by everybody or by nobody."""
        policy = self._gallery.policy
        return {
            modality: Unusable(
                reason=Reason.LOW_QUALITY,
                detail=f"quality {features[modality].quality:.2f} is under the floor of "
                f"{policy.row(modality).quality_floor:.2f}; take a sharper, larger, frontal photo",
            )
            for modality in sorted(features.keys() - policy.usable(features).keys())
        }
