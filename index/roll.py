"""The roll of enrolled identities: their samples, their robust means, and what may be enrolled or searched.

Indexes are built from it and answer for it; it alone says what the gallery holds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from index.errors import ContractError, UnknownIdentityError, VectorError
from index.policy import Policy
from index.records import Feature, IdentityId, Mask, Modality, Template, TemplateId, Vector
from index.vectors import check_unit_vector, robust_mean


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identity:
    """One enrolled identity. Never changed: an enrolment replaces the record."""

    identity_id: IdentityId
    templates: tuple[Template, ...]
    """Its samples by template id, whatever the order they arrived in. Never empty."""
    means: Mapping[Modality, Vector]
    """Per modality that any sample has, the robust mean of its placed samples: (D,) float32, unit norm.

    An identity of one modality that a crossing leads to has its crossing's vector too.
    """

    @property
    def mask(self) -> Mask:
        """What it can be compared by."""
        return frozenset(self.means)

    def samples(self, modality: Modality) -> tuple[Template, ...]:
        """Its samples that have this modality, by template id."""
        return tuple(template for template in self.templates if modality in template.features)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contents:
    """One consistent state of a gallery, taken at once and good for ever."""

    policy: Policy
    version: int
    identities: Mapping[IdentityId, Identity]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Change:
    """What an enrolment or withdrawal did to one identity; None where it was, or is, not enrolled."""

    before: Identity | None
    after: Identity | None

    @property
    def withdrawn(self) -> int:
        """How many templates went, net of those that came."""
        before, after = (0 if it is None else len(it.templates) for it in (self.before, self.after))
        return before - after


def identity_of(policy: Policy, templates: Iterable[Template]) -> Identity:
    """The identity that these samples make; at least one, all of one person, checked before."""
    ordered = tuple(sorted(templates, key=lambda template: template.template_id))
    means = {}
    for row in policy.rows:
        vectors = [t.features[row.modality].vector for t in ordered if row.modality in t.features]
        if vectors:
            means[row.modality] = robust_mean(row.place(np.stack(vectors)))
    if policy.crossing is not None:
        means |= policy.crossing.of_identity(means)
    return Identity(identity_id=ordered[0].identity_id, templates=ordered, means=means)


def centred(policy: Policy, probe: Mapping[Modality, Feature]) -> Mapping[Modality, Vector]:
    """What a probe is compared by: the placed vectors of those features that are evidence, by rank.

    A probe of one modality that a crossing starts from has its crossing's vector too.
    """
    usable = policy.usable(probe)
    vectors = {
        row.modality: row.place(usable[row.modality].vector) for row in policy.rows if row.modality in usable
    }
    return vectors if policy.crossing is None else {**vectors, **policy.crossing.of_probe(vectors)}


def enrolled_as(policy: Policy, name: Modality) -> Modality:
    """The modality of those samples that are compared by this name: itself, but for a crossing."""
    crossing = policy.crossing
    return crossing.enrolled_end(name) if crossing is not None and name in crossing.names else name


def placed_samples(policy: Policy, samples: Sequence[Template], name: Modality) -> Vector:
    """The samples as `name` compares them: (n, D) float32."""
    modality = enrolled_as(policy, name)
    rows = policy.row(modality).place(np.stack([sample.features[modality].vector for sample in samples]))
    if modality == name or policy.crossing is None:
        return rows
    return np.stack([policy.crossing.project(modality, row) for row in rows])


class Roll:
    """Identities by id. Not safe to share between threads: the gallery that owns it holds a lock."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.version = 0
        self.templates = 0
        self.masks: Counter[Mask] = Counter()
        """How many identities are enrolled in exactly these modalities."""
        self._identities: dict[IdentityId, Identity] = {}
        self._dimensions: dict[Modality, int] = {}
        self._fixed = {row.modality: row.mean.size for row in policy.rows if row.mean is not None}

    def __len__(self) -> int:
        return len(self._identities)

    def __iter__(self) -> Iterator[Identity]:
        return iter(self._identities.values())

    def __getitem__(self, identity_id: IdentityId) -> Identity:
        try:
            return self._identities[identity_id]
        except KeyError:
            raise UnknownIdentityError(f"Identity {identity_id!r} is not enrolled.") from None

    def enrol(self, template: Template, version: int | None) -> Change:
        """Adds the template, or replaces the one of its ids; refuses it before anything has changed."""
        if not template.features:
            raise VectorError(
                f"Template {template.template_id!r} of {template.identity_id!r} has no feature; "
                "it needs one at least."
            )
        for modality, feature in template.features.items():
            self._check(modality, feature)
        before = self._identities.get(template.identity_id)
        others = () if before is None else before.templates
        kept = [other for other in others if other.template_id != template.template_id]
        change = Change(before=before, after=identity_of(self.policy, [*kept, template]))
        self._apply(template.identity_id, change, version)
        return change

    def withdraw(
        self, identity_id: IdentityId, template_id: TemplateId | None, version: int | None
    ) -> Change:
        """Removes one template, or all of the identity's."""
        before = self._identities.get(identity_id)
        templates = () if before is None else before.templates
        kept = [t for t in templates if template_id is not None and t.template_id != template_id]
        if before is None or len(kept) == len(templates):
            if version is not None:
                self.version = version
            return Change(before=before, after=before)
        change = Change(before=before, after=identity_of(self.policy, kept) if kept else None)
        self._apply(identity_id, change, version)
        return change

    def probe(self, features: Mapping[Modality, Feature]) -> Mapping[Modality, Vector]:
        """What a probe is compared by, once it is checked that it may be."""
        for modality, feature in features.items():
            self._check(modality, feature)
        return centred(self.policy, features)

    def comparable(self, vectors: Mapping[Modality, Vector]) -> Mapping[Modality, Vector]:
        """Those that have somebody to be compared with."""
        return {modality: vector for modality, vector in vectors.items() if modality in self._dimensions}

    def contents(self) -> Contents:
        """What is enrolled now; O(N), but only references are copied."""
        return Contents(policy=self.policy, version=self.version, identities=dict(self._identities))

    def _check(self, modality: Modality, feature: Feature) -> None:
        self.policy.row(modality)
        contract = self.policy.contracts.get(modality)
        if contract is None:
            raise ContractError(
                f"Policy {self.policy.policy_id} does not say which contract {modality} vectors are of; "
                "bind it to the extractors with Policy.bound_to()."
            )
        if feature.contract_id != contract:
            raise ContractError(
                f"A {modality} vector was made by {feature.contract_id}, the gallery's are of {contract}; "
                "their similarity would mean nothing. Extract it anew."
            )
        check_unit_vector(feature.vector, self._fixed.get(modality, self._dimensions.get(modality)))

    def _apply(self, identity_id: IdentityId, change: Change, version: int | None) -> None:
        if change.before is not None:
            self.templates -= len(change.before.templates)
            self.masks[change.before.mask] -= 1
            if not self.masks[change.before.mask]:
                del self.masks[change.before.mask]
            del self._identities[identity_id]
        if change.after is not None:
            self.templates += len(change.after.templates)
            self.masks[change.after.mask] += 1
            self._identities[identity_id] = change.after
            self._dimensions.update({modality: mean.size for modality, mean in change.after.means.items()})
        # The last vector of a modality takes its dimension along: what may be enrolled follows from what is.
        for modality in self._dimensions.keys() - {modality for mask in self.masks for modality in mask}:
            del self._dimensions[modality]
        self.version = self.version + 1 if version is None else version
