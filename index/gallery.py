"""The Gallery port: what every gallery does, whatever it is made of."""

from collections.abc import Mapping
from typing import Protocol

from index.records import Feature, IdentityId, Modality, SearchResult, Template, TemplateId
from index.roll import Contents, Identity


class Gallery(Protocol):
    """Enrolled identities, searched by fused score. Safe to use from several threads."""

    def enrol(self, template: Template, *, version: int | None = None) -> None:
        """Adds a template, or replaces the one of the same identity and template id.

        Args:
            template: Features of unit norm; its contracts must be the policy's.
            version: What to call the gallery after this change; None counts up by one.

        Raises:
            ContractError: A feature was made under another contract.
            VectorError: A feature has the wrong dimension or is not a finite unit vector.
        """
        ...

    def withdraw(
        self, identity_id: IdentityId, template_id: TemplateId | None = None, *, version: int | None = None
    ) -> int:
        """Removes one template, or the whole identity; returns how many templates went (0 if unknown)."""
        ...

    def search(self, probe: Mapping[Modality, Feature], k: int) -> SearchResult:
        """The `k` identities of highest fused score, among those that share a modality with the probe.

        Raises:
            ContractError: A probe feature was made under another contract.
        """
        ...

    def identity(self, identity_id: IdentityId) -> Identity:
        """What is enrolled of one identity.

        Raises:
            UnknownIdentityError: Nothing is.
        """
        ...

    def contents(self) -> Contents:
        """One consistent state of the whole gallery. O(N), but only references are copied."""
        ...

    def __len__(self) -> int:
        """Identities enrolled."""
        ...

    @property
    def version(self) -> int:
        """Changes with every enrolment and withdrawal; equal versions of one topic are equal galleries."""
        ...

    @property
    def templates(self) -> int:
        """Templates enrolled, over all identities."""
        ...
