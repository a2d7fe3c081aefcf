"""Small makers of events, records and decisions: each takes what a test is about and fills in the rest."""

from collections.abc import Iterable, Mapping

from index.records import (
    IMAGE,
    TEXT,
    Agreement,
    Candidate,
    ContractId,
    Explanation,
    Feature,
    IdentityId,
    Modality,
    Outcome,
    Rival,
    Sufficient,
    TemplateId,
    Threshold,
    Verdict,
    Weak,
)
from index.vectors import unit
from stream.decision_record import Timing, covered_events, decision_id
from stream.events import (
    ClosedWindow,
    Decision,
    Event,
    EventId,
    GalleryState,
    Missing,
    OpenWindow,
    Probe,
    ProbeSample,
    RawRecord,
    Source,
    SubjectId,
)
from stream.join import JoinPolicy
from stream.reasons import Reason

TOPICS: Mapping[Modality | None, str] = {IMAGE: "images", TEXT: "texts", None: "texts"}
TIMING = Timing(decided_at_ms=1_700_000_003_250, join_ms=12.5, extract_ms=7.25, search_ms=0.5, total_ms=21.0)


def join_policy(
    *, window_ms: int = 100, grace_ms: int = 50, close_on_complete: bool = True, expected: str = "image text"
) -> JoinPolicy:
    """A window of 100 ms and a grace of 50 ms over image and text."""
    return JoinPolicy(
        expected=tuple(Modality(name) for name in expected.split()),
        window_ms=window_ms,
        grace_ms=grace_ms,
        close_on_complete=close_on_complete,
    )


def event(
    name: str,
    modality: Modality | None,
    time_ms: int,
    *,
    subject: str = "s",
    offset: int | None = None,
    topic: str | None = None,
) -> Event:
    """An event of that name; unless told, its offset is its time."""
    return Event(
        event_id=EventId(name),
        origin="camera",
        subject_id=SubjectId(subject),
        modality=modality,
        event_time_ms=time_ms,
        source=Source(
            topic=topic or TOPICS[modality], partition=0, offset=time_ms if offset is None else offset
        ),
    )


def image(time_ms: int, name: str | None = None, **where: str | int) -> Event:
    return event(name or f"image-{time_ms}", IMAGE, time_ms, **where)  # type: ignore[arg-type]  # as `event` has it


def text(time_ms: int, name: str | None = None, **where: str | int) -> Event:
    return event(name or f"text-{time_ms}", TEXT, time_ms, **where)  # type: ignore[arg-type]  # as `event` has it


def end(time_ms: int, name: str | None = None, **where: str | int) -> Event:
    """An end-of-subject marker."""
    return event(name or f"end-{time_ms}", None, time_ms, **where)  # type: ignore[arg-type]  # as `event` has it


def raw(
    value: bytes | None = b"payload",
    *,
    key: bytes | None = b"subject-1",
    headers: Iterable[tuple[str, bytes]] = (),
    topic: str = "images",
    partition: int = 3,
    offset: int = 42,
    timestamp_ms: int = 1_700_000_000_000,
) -> RawRecord:
    return RawRecord(
        source=Source(topic=topic, partition=partition, offset=offset),
        key=key,
        value=value,
        headers=tuple(headers),
        timestamp_ms=timestamp_ms,
    )


def decision(
    closed: ClosedWindow | OpenWindow,
    *,
    unusable: frozenset[Source] = frozenset(),
    version: int = 7,
    outcome: Outcome = Outcome.NO_MATCH,
) -> Decision:
    """A decision about a window that finds nobody, unless told; samples at `unusable` places had no face.

    Its explanation has every field filled in, as no real one has.
    """
    samples = tuple(
        ProbeSample(
            event=e,
            feature=Feature(
                vector=unit([3.0, 4.0]), contract_id=ContractId(f"{e.modality}-v1"), quality=11.5
            ),
        )
        for e in closed.events
        if e.source not in unusable
    )
    used = {sample.event.modality for sample in samples}
    missing = tuple(
        Missing(modality=e.modality, reason=Reason.NO_FACE, event=e)
        for e in closed.events
        if e.source in unusable and e.modality is not None
    ) + tuple(
        Missing(modality=m, reason=Reason.NOT_RECEIVED)
        for m in (IMAGE, TEXT)
        if m not in used and m not in {e.modality for e in closed.events}
    )
    probe = Probe(
        subject_id=closed.subject_id,
        window=closed.window,
        closed_by=closed.closed_by,
        samples=samples,
        missing=missing,
        markers=closed.markers,
    )
    verdict = Verdict(
        outcome=outcome,
        reasons=("below_threshold",),
        identity_id=None,
        candidates=(
            Candidate(
                rank=1,
                identity_id=IdentityId("ann"),
                template_id=TemplateId("t1"),
                score=-1.25,
                probability=1 / 3,
                similarity={TEXT: 0.125, IMAGE: -1e-9},
            ),
        ),
        margin=None,
        threshold=Threshold(
            score=2.5,
            target_fpir=0.01,
            gallery_size=200,
            policy_id="test",
            basis="gallery",
            searches=198,
            interval=(2.1, 3.05),
        ),
        explanation=Explanation(
            identity_id=IdentityId("ann"),
            short_by=3.75,
            weak=(Weak(modality=IMAGE, quality=1.25, floor=1.97),),
            rival=Rival(identity_id=IdentityId("bob"), lead=0.25, needed=1.0986),
            against=TEXT,
            agreement=Agreement(llr=-2.5, needed=-1.25),
            would_suffice=(Sufficient(modality=IMAGE, similarity=0.47, was=None, quality=1.97),),
        ),
    )
    made = Decision(
        decision_id="",
        probe=probe,
        verdict=verdict,
        model_contracts={TEXT: "text-v1", IMAGE: "image-v1"},
        gallery=GalleryState(version=version, identities=200, templates=412),
    )
    return Decision(
        decision_id=decision_id(closed.subject_id, covered_events(made), final=made.final),
        probe=probe,
        verdict=verdict,
        model_contracts=made.model_contracts,
        gallery=made.gallery,
    )
