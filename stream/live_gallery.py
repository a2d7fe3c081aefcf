"""A gallery bound to the thresholds of its version.

So is a decision a pure function of the probe, the gallery's version and the policy.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from index.calibration import TargetFpir, thresholds_of
from index.errors import GalleryError, UnknownIdentityError
from index.gallery import Gallery
from index.impostors import Impostors
from index.policy import Policy
from index.records import Feature, IdentityId, Mask, Modality, SearchResult, TemplateId, Threshold
from index.roll import Identity
from stream.events import Enrolled, GalleryState, Withdrawn


class LiveGallery:
    """A gallery with the thresholds of its present version; changes and searches exclude one another.

    Once `prepare` has searched the gallery by itself, every change is followed at the price of about one more
    search, and the thresholds of a version are made when its first probe asks for them.
    """

    def __init__(self, gallery: Gallery, policy: Policy, *, target_fpir: TargetFpir) -> None:
        self._gallery = gallery
        self.policy = policy
        self._target_fpir = target_fpir
        self._impostors: Impostors | None = None
        """None until somebody asks: a gallery that is still being read has nobody to be followed for."""
        self._thresholds: Mapping[Mask, Threshold] = {}
        self._thresholds_version: int | None = None
        self._queue = threading.Lock()
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Searches the gallery by itself, all at once; without it the first probe would wait for that."""
        with self._turn():
            self._made_thresholds()

    def apply(self, changes: Iterable[tuple[Enrolled | Withdrawn, int]]) -> tuple[GalleryError, ...]:
        """Follows the gallery topic: each change with the version that it makes. Searches go in between.

        Returns:
            Why each template that was refused was: made under another contract, or of another dimension.
        """
        refused = []
        for change, version in changes:
            with self._turn():
                try:
                    self._apply(change, version)
                except GalleryError as error:
                    refused.append(error)
        return tuple(refused)

    def _apply(self, change: Enrolled | Withdrawn, version: int) -> None:
        if isinstance(change, Withdrawn):
            identity_id, before = change.identity_id, self.identity(change.identity_id)
            self._gallery.withdraw(identity_id, change.template_id, version=version)
        else:
            identity_id = change.template.identity_id
            before = self.identity(identity_id)
            self._gallery.enrol(change.template, version=version)
        if self._impostors is not None:
            self._impostors.follow(before, self.identity(identity_id))

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
        with self._turn():
            return self._gallery.search(features, k), self._made_thresholds()

    @property
    def thresholds(self) -> Mapping[Mask, Threshold]:
        """Those that the latest search took; none before the first."""
        return self._thresholds

    @property
    def state(self) -> GalleryState:
        """Version and size, of one moment."""
        with self._turn():
            return GalleryState(
                version=self._gallery.version,
                identities=len(self._gallery),
                templates=self._gallery.templates,
            )

    def _made_thresholds(self) -> Mapping[Mask, Threshold]:
        if self._impostors is None:
            self._impostors = Impostors(self._gallery)
        if self._thresholds_version != self._gallery.version:
            self._thresholds = thresholds_of(
                self.policy, self._impostors.scores(), self._target_fpir, identities=len(self._gallery)
            )
            self._thresholds_version = self._gallery.version
        return self._thresholds

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Excludes everybody else; who waits goes before who has just been.

        One lock is not so fair: whoever applies a thousand changes would take it back a thousand times.
        """
        with self._queue:
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()
