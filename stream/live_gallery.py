"""A gallery bound to the thresholds of its version.

So is a decision a pure function of the probe, the gallery's version and the policy.
"""

import threading
from collections.abc import Iterable, Mapping

from index.calibration import thresholds_for
from index.errors import GalleryError, UnknownIdentityError
from index.gallery import Gallery
from index.policy import Policy
from index.records import Feature, IdentityId, Mask, Modality, SearchResult, TemplateId, Threshold
from index.roll import Identity
from stream.events import Enrolled, GalleryState, Withdrawn


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

    def identity(self, identity_id: IdentityId) -> Identity | None:
        """What is enrolled of an identity; None if it is unknown."""
        try:
            return self._gallery.identity(identity_id)
        except UnknownIdentityError:
            return None

    def template_ids(self, identity_id: IdentityId) -> tuple[TemplateId, ...]:
        """The templates of an identity; none if it is unknown."""
        identity = self.identity(identity_id)
        return () if identity is None else tuple(template.template_id for template in identity.templates)

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
    def thresholds(self) -> Mapping[Mask, Threshold]:
        """Those that the latest search took; none before the first."""
        return self._thresholds

    @property
    def state(self) -> GalleryState:
        """Version and size, of one moment."""
        with self._lock:
            return GalleryState(
                version=self._gallery.version,
                identities=len(self._gallery),
                templates=self._gallery.templates,
            )
