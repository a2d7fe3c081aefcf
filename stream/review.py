"""Enrolment review: a request and its features become a template, or a rejection that says why."""

from collections.abc import Mapping

from index.policy import Policy
from index.records import Feature, IdentityId, Modality, Template, TemplateId
from stream.events import EnrolmentRequest, EnrolmentResult
from stream.features.extractor import Unusable
from stream.reasons import Reason


def review(
    request: EnrolmentRequest,
    extracted: Mapping[Modality, Feature | Unusable],
    template_id: TemplateId,
    policy: Policy,
) -> Template | EnrolmentResult:
    """The template that a request makes, or the result that says why there is none.

    One unusable sample rejects the request: an operator who sent a photo wants it enrolled, and would not
    notice for months that only the description was.
    """
    features = {m: f for m, f in extracted.items() if isinstance(f, Feature)}
    unusable = {m: f for m, f in extracted.items() if isinstance(f, Unusable)} | _weak(features, policy)
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


def _weak(features: Mapping[Modality, Feature], policy: Policy) -> dict[Modality, Unusable]:
    """Those under the quality floor: as templates they would be found by everybody or by nobody."""
    return {
        modality: Unusable(
            reason=Reason.LOW_QUALITY,
            detail=f"quality {features[modality].quality:.2f} is under the floor of "
            f"{policy.row(modality).quality_floor:.2f}; take a sharper, larger, frontal photo",
        )
        for modality in sorted(features.keys() - policy.usable(features).keys())
    }
