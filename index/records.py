"""What the gallery is made of and what a search answers: frozen records, no behaviour.

Words are the field's (ISO/IEC 2382-37, 19795-1): an *identity* is enrolled by *templates*, a *probe* is
searched, a *candidate* is a returned identity with its *rank* and *score*. Similarities are cosines: higher
is nearer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

import numpy as np
import numpy.typing as npt

IdentityId = NewType("IdentityId", str)
TemplateId = NewType("TemplateId", str)
ContractId = NewType("ContractId", str)
"""Names what made a vector: model pack, hashes of its files, version of the preprocessing."""

Modality = NewType("Modality", str)
"""The name of a kind of evidence. A list, not a pair: a third one is a new name with a row of policy."""

IMAGE = Modality("image")
TEXT = Modality("text")

Mask = frozenset[Modality]
"""The modalities that a probe and an identity have in common: what their score is made of."""

Vector = npt.NDArray[np.float32]
"""(D,) float32; unit L2 norm wherever it stands in a `Feature`."""


class Outcome(StrEnum):
    """What a decision says."""

    MATCH = "match"
    NO_MATCH = "no_match"
    AMBIGUOUS = "ambiguous"
    """Two identities over the threshold, closer to one another than the margin."""
    CONFLICT = "conflict"
    """The modalities speak clearly against one another; they are reported, never averaged."""
    INSUFFICIENT = "insufficient"
    """Nothing usable was left of the probe, or nobody is enrolled to compare it with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One sample of one modality as a point of its embedding space."""

    vector: Vector
    """(D,) float32 of unit L2 norm, not yet centred: the policy's mean is applied inside the gallery."""
    contract_id: ContractId
    quality: float | None = None
    """Norm of the embedding before normalisation where the extractor knows it; higher is better evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One enrolled sample of an identity, in at least one modality. Identities have one or more."""

    identity_id: IdentityId
    template_id: TemplateId
    features: Mapping[Modality, Feature]
    enrolled_at_ms: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    consent_ref: str | None = None
    """Where the consent to this enrolment is kept."""
    expires_at_ms: int | None = None
    """When it is to be withdrawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One identity that a search returned."""

    rank: int
    """1 is the best."""
    identity_id: IdentityId
    template_id: TemplateId
    """The sample of that identity nearest to the probe."""
    score: float
    """Calibrated log-likelihood ratio: comparable over every mask."""
    probability: float
    """P(this identity is the probe's | score, gallery size), in [0, 1]."""
    similarity: Mapping[Modality, float]
    """Cosine per modality of the mask, against the identity's robust-mean template, in [-1, 1]."""
    enrolled: Mask = frozenset()
    """The modalities that the identity is enrolled in: those of the mask, and what the probe lacks."""
    agreement: Mapping[Modality, float] = field(default_factory=dict)
    """For each modality of the probe beside the primary, the LLR that it is of the person whose face the
    probe shows, if that face is this identity's; without those of which nothing can be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The candidates of one probe, with the one consistent state of the gallery that they were found in."""

    candidates: tuple[Candidate, ...]
    """By score, best first; ties by identity id."""
    version: int
    """The gallery's version at the moment of the search."""
    identities: int
    templates: int


class Basis(StrEnum):
    """What a threshold was derived from."""

    GALLERY = "gallery"
    """Leave-one-out on the enrolled identities."""
    EXTRAPOLATED = "extrapolated"
    """The same, for a target rarer than so few searches can show: the tail's shape is taken on trust."""
    POLICY = "policy"
    """The calibration set's constant: too few are enrolled for anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The score a candidate must reach, and what it was derived from."""

    score: float
    target_fpir: float
    """Share of non-mated searches that may return somebody, as the operator set it."""
    gallery_size: int
    policy_id: str
    basis: Basis = Basis.POLICY
    searches: int = 0
    """Leave-one-out searches that the gallery had for it."""
    interval: tuple[float, float] | None = None
    """95 %: what other people of the same kind, as many, would have given; None for the policy's constant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weak:
    """A feature of the probe that was passed over."""

    modality: Modality
    quality: float
    floor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Another identity over the threshold, too close to choose."""

    identity_id: IdentityId
    lead: float
    """Score of the one that the decision is about, less the rival's."""
    needed: float
    """The lead that a match has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How little one modality is of the identity that another finds."""

    llr: float
    """In nats: see `index.agreement`."""
    needed: float
    """The least that is no conflict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sufficient:
    """One sample that would have made the decision a match, everybody else's score as it was."""

    modality: Modality
    similarity: float
    """The least cosine with the identity's template that does, to two decimals, rounded up."""
    was: float | None
    """The cosine that the probe had; None: it had no evidence of this modality."""
    quality: float | None
    """The least quality that is evidence; None: every quality is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a decision is no match, in numbers, and what would have made it one."""

    identity_id: IdentityId | None = None
    """Whom it is about: the nearest to being the match. None: nobody could be compared."""
    short_by: float | None = None
    """What its score lacks of the threshold; None where it lacks nothing, or was not compared."""
    weak: tuple[Weak, ...] = ()
    rival: Rival | None = None
    """Of an ambiguous decision."""
    against: Modality | None = None
    """Of a conflict: what speaks against the identity that the primary modality finds."""
    agreement: Agreement | None = None
    """Of a conflict: how clearly it does."""
    would_suffice: tuple[Sufficient, ...] = ()
    """Any one of them; none where no single sample does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An open-set decision about one probe."""

    outcome: Outcome
    reasons: tuple[str, ...]
    """Stable codes, most important first; a match has none or only warnings."""
    identity_id: IdentityId | None
    """Set for a match only."""
    candidates: tuple[Candidate, ...]
    margin: float | None
    """Score of rank 1 minus score of rank 2; None with fewer than two candidates."""
    threshold: Threshold | None
    """None where nothing could be compared."""
    explanation: Explanation | None = None
    """None for a match."""
