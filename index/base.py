"""What all galleries share: the lock, the roll, and the shape of an answer. They differ in how they find."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from index.errors import GalleryError
from index.policy import Policy
from index.ranking import Scored, ranked
from index.records import Feature, IdentityId, Modality, SearchResult, Template, TemplateId, Vector
from index.roll import Change, Contents, Identity, Roll


class BaseGallery(ABC):
    """A `Gallery` but for the finding. One lock: every search sees one version, whole."""

    def __init__(self, policy: Policy) -> None:
        self._roll = Roll(policy)
        self._lock = threading.Lock()

    def enrol(self, template: Template, *, version: int | None = None) -> None:
        """Adds a template, or replaces the one of the same identity and template id."""
        with self._lock:
            self._follow(self._roll.enrol(template, version))

    def withdraw(
        self, identity_id: IdentityId, template_id: TemplateId | None = None, *, version: int | None = None
    ) -> int:
        """Removes one template, or the whole identity; returns how many templates went (0 if unknown)."""
        with self._lock:
            change = self._roll.withdraw(identity_id, template_id, version)
            self._follow(change)
        return change.withdrawn

    def search(self, probe: Mapping[Modality, Feature], k: int) -> SearchResult:
        """The `k` identities of highest fused score, among those that share a modality with the probe.

        Args:
            probe: One feature per modality; those of too low quality are passed over (`Policy.usable`).
            k: >= 1.

        Raises:
            GalleryError: `k` is under 1.
            ContractError: A probe feature was made under another contract.
            PolicyError: The policy has no row for one of the probe's modalities.
            VectorError: A probe vector has the wrong dimension or is not a finite unit vector.
        """
        if k < 1:
            raise GalleryError(f"A search for {k} candidates was asked for; ask for 1 or more.")
        with self._lock:
            vectors = self._roll.probe(probe)
            comparable = self._roll.comparable(vectors)
            found = tuple(self._find(comparable, k)) if comparable else ()
            version, identities, templates = self._roll.version, len(self._roll), self._roll.templates
        return SearchResult(
            candidates=ranked(self._roll.policy, vectors, found, k, identities),
            version=version,
            identities=identities,
            templates=templates,
        )

    def identity(self, identity_id: IdentityId) -> Identity:
        """What is enrolled of one identity.

        Raises:
            UnknownIdentityError: Nothing is.
        """
        with self._lock:
            return self._roll[identity_id]

    def contents(self) -> Contents:
        """One consistent state of the whole gallery. O(N), but only references are copied."""
        with self._lock:
            return self._roll.contents()

    def __len__(self) -> int:
        return len(self._roll)

    @property
    def version(self) -> int:
        """Changes with every enrolment and withdrawal."""
        return self._roll.version

    @property
    def templates(self) -> int:
        """Templates enrolled, over all identities."""
        return self._roll.templates

    @abstractmethod
    def _find(self, probe: Mapping[Modality, Vector], k: int) -> Iterable[Scored]:
        """At least the `k` best identities, scored to the bit, and all that tie with the last of them."""

    @abstractmethod
    def _follow(self, change: Change) -> None:
        """Takes one change of the roll over into the index."""
