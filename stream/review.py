"""Enrolment review: a request and its features become a template, or a rejection that says why.

What has no feature is rejected by everybody. What has one may still be a finding: weak, much like somebody
else, or unlike the identity's other samples. The operator's `ReviewPolicy` says which findings reject; the
others warn.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from index.own_sample import OUTLIER_BELOW, own_score
from index.records import Candidate, Feature, IdentityId, Modality, Template, TemplateId
from stream.events import EnrolmentRequest, EnrolmentResult, Resemblance
from stream.features.extractor import Unusable
from stream.live_gallery import LiveGallery
from stream.reasons import Reason

FINDINGS = frozenset({Reason.LOW_QUALITY, Reason.POSSIBLE_DUPLICATE, Reason.OUTLIER_SAMPLE})
"""What a policy may choose about."""


class ReviewMode(StrEnum):
    """The policies that a setting can name."""

    LENIENT = "lenient"
    STRICT = "strict"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPolicy:
    """Which findings reject a request."""

    rejects: frozenset[Reason]
    """Of `FINDINGS`; the others are accepted with a warning."""


REVIEW_POLICIES: Mapping[ReviewMode, ReviewPolicy] = MappingProxyType(
    {
        # A weak sample is found by everybody or by nobody, so nobody gains by its enrolment. Whether two are
        # one person, or one photo is of another, is for a person to judge, who can withdraw it.
        ReviewMode.LENIENT: ReviewPolicy(rejects=frozenset({Reason.LOW_QUALITY})),
        ReviewMode.STRICT: ReviewPolicy(rejects=FINDINGS),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What became of a request."""

    template: Template | None
    """To be published; None when the request is rejected."""
    result: EnrolmentResult


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    code: Reason
    detail: str
    resembles: Resemblance | None = None


def review(
    request: EnrolmentRequest,
    extracted: Mapping[Modality, Feature | Unusable],
    template_id: TemplateId,
    *,
    gallery: LiveGallery,
    policy: ReviewPolicy,
) -> Review:
    """The template that a request makes, and its answer.

    One unusable sample rejects the request: an operator who sent a photo wants it enrolled, and would not
    notice for months that only the description was.

    Args:
        request: As it was read.
        extracted: Of each of its samples.
        template_id: What the template is to be called; one of that name is replaced.
        gallery: As it is now. What is on its way there is not seen.
        policy: Which findings reject.
    """
    unusable = {m: f for m, f in extracted.items() if isinstance(f, Unusable)}
    if unusable or not extracted:
        return Review(template=None, result=_without_features(request, template_id, unusable))
    template = Template(
        identity_id=IdentityId(request.identity_id),
        template_id=template_id,
        features={m: f for m, f in extracted.items() if isinstance(f, Feature)},
        enrolled_at_ms=request.requested_at_ms,
        metadata=request.metadata,
        consent_ref=request.consent_ref,
        expires_at_ms=request.expires_at_ms,
    )
    findings = tuple(_findings(template, gallery))
    codes = dict.fromkeys(finding.code for finding in findings)
    reasons = tuple(code for code in codes if code in policy.rejects)
    result = _result(
        request,
        template_id,
        reasons=reasons,
        warnings=tuple(code for code in codes if code not in policy.rejects),
        detail="; ".join(("rejected" if reasons else "enrolled", *(f.detail for f in findings))),
        resembles=next((finding.resembles for finding in findings if finding.resembles), None),
    )
    return Review(template=None if reasons else template, result=result)


def _without_features(
    request: EnrolmentRequest, template_id: TemplateId, unusable: Mapping[Modality, Unusable]
) -> EnrolmentResult:
    codes = dict.fromkeys(fault.reason for _, fault in sorted(unusable.items()))
    detail = "; ".join(f"{modality}: {fault.detail}" for modality, fault in sorted(unusable.items()))
    return _result(
        request,
        template_id,
        reasons=tuple(codes) or (Reason.BAD_REQUEST,),
        detail=detail or "the request carries no sample; give an image, a text or an embedding",
    )


def _findings(template: Template, gallery: LiveGallery) -> Iterator[_Finding]:
    yield from _weak(template, gallery)
    yield from _duplicate(template, gallery)
    yield from _outlier(template, gallery)


def _weak(template: Template, gallery: LiveGallery) -> Iterator[_Finding]:
    """Features under the quality floor: what a probe would pass over."""
    for weak in gallery.policy.weak(template.features):
        yield _Finding(
            code=Reason.LOW_QUALITY,
            detail=f"{weak.modality}: quality {weak.quality:.2f} is under the floor of {weak.floor:.2f}; "
            "take a sharper, larger, frontal one",
        )


def _duplicate(template: Template, gallery: LiveGallery) -> Iterator[_Finding]:
    """Somebody else as whom the sample, were it a probe, could be returned: the same score is asked for."""
    result, thresholds = gallery.search(template.features, 2)
    rival = next((c for c in result.candidates if c.identity_id != template.identity_id), None)
    mask = frozenset(gallery.policy.usable(template.features))
    if rival is None or not _may_match(rival, gallery) or rival.score < thresholds[mask].score:
        return
    yield _Finding(
        code=Reason.POSSIBLE_DUPLICATE,
        detail=f"score {rival.score:.2f} with {rival.identity_id} ({rival.template_id}), a match from "
        f"{thresholds[mask].score:.2f}: perhaps one person under two names",
        resembles=Resemblance(
            identity_id=rival.identity_id,
            template_id=rival.template_id,
            score=rival.score,
            threshold=thresholds[mask].score,
            similarity=rival.similarity,
        ),
    )


def _may_match(candidate: Candidate, gallery: LiveGallery) -> bool:
    return gallery.policy.masks[frozenset(candidate.similarity)].may_match


def _outlier(template: Template, gallery: LiveGallery) -> Iterator[_Finding]:
    """A sample that is more likely of somebody else than its identity's other samples are."""
    identity = gallery.identity(template.identity_id)
    others = () if identity is None else identity.templates
    rest = [other for other in others if other.template_id != template.template_id]
    own = own_score(gallery.policy, template.features, rest)
    if own is not None and own.score < OUTLIER_BELOW:
        yield _Finding(
            code=Reason.OUTLIER_SAMPLE,
            detail=f"score {own.score:.2f} with the {len(rest)} other samples of {template.identity_id}, "
            f"under {OUTLIER_BELOW:g}: perhaps somebody else's",
        )


def _result(
    request: EnrolmentRequest,
    template_id: TemplateId,
    *,
    reasons: tuple[Reason, ...],
    detail: str,
    warnings: tuple[Reason, ...] = (),
    resembles: Resemblance | None = None,
) -> EnrolmentResult:
    return EnrolmentResult(
        request_id=request.request_id,
        identity_id=request.identity_id,
        template_id=template_id,
        accepted=not reasons,
        reasons=reasons,
        detail=detail,
        warnings=warnings,
        resembles=resembles,
    )
