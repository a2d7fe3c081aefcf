"""Images and texts as subjects' events, the way any producer would publish them: CloudEvents in headers."""

from index.records import Modality
from stream.envelope import Outgoing, cloud_event_headers


def sample_event(
    *,
    subject_id: str,
    modality: Modality,
    event_id: str,
    origin: str,
    time_ms: int,
    content_type: str,
    data: bytes,
) -> Outgoing:
    """The record of one sample of a subject."""
    return Outgoing(
        key=subject_id.encode(),
        value=data,
        headers=cloud_event_headers(
            event_id=event_id,
            origin=origin,
            event_type=f"sightline.{modality}.v1",
            time_ms=time_ms,
            content_type=content_type,
        ),
    )
