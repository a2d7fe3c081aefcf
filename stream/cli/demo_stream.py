"""The driver of a run: publishes what was planned when it is due, and collects what comes back."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from index.records import IMAGE
from stream.cli.kafka_clients import Reader, Sender, now_ms, reader, sender
from stream.cli.publishing import sample_event
from stream.dead_letter_record import DeadLetter, decode_dead_letter
from stream.decision_record import decode_decision
from stream.decision_view import DecisionRecord
from stream.demo.ledger import Ledger, Published, SeenDeadLetter, SeenDecision
from stream.demo.poison import JPEG, PLAIN_TEXT, RECIPES, Bounds, Ingredients
from stream.demo.traffic import Plan, PlannedEvent
from stream.envelope import Outgoing
from stream.events import RawRecord
from stream.ledger import Fate
from stream.worker.settings import Settings

SETTLE_WITHIN_S = 60.0
"""For the last events after the last one was published, beyond window and grace."""
LINGER_S = 1.0
"""After everything is accounted for: time for a decision that should not come."""
SETTLED_POLL_S = 0.25
LEAD_MS = 500
"""From now to the first event."""
NOT_A_TIME = b"half past nine"


@dataclass(slots=True)
class Books:
    """What has been published and has come back so far."""

    run: str
    planned: int
    grace_ms: int
    published: list[Published] = field(default_factory=list)
    decisions: list[SeenDecision] = field(default_factory=list)
    dead_letters: list[SeenDeadLetter] = field(default_factory=list)

    def close(self) -> Ledger:
        """The books as they stand."""
        return Ledger(
            published=tuple(self.published),
            decisions=tuple(self.decisions),
            dead_letters=tuple(self.dead_letters),
            grace_ms=self.grace_ms,
        )

    def enter(self, record: RawRecord, matches: str) -> None:
        """Takes a record of the match or the dead-letter topic in; those of other runs are left out."""
        if record.source.topic == matches:
            decision = decode_decision(record)
            if isinstance(decision, DecisionRecord) and decision.subject_id.startswith(self.run):
                self.decisions.append(
                    SeenDecision(record=decision, value=record.value or b"", append_ms=record.timestamp_ms)
                )
            return
        letter = decode_dead_letter(record)
        if isinstance(letter, DeadLetter):
            self.dead_letters.append(SeenDeadLetter(source=letter.source, reason=letter.reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """Turns planned events into records."""

    origin: str
    bounds: Bounds
    start_ms: int
    """The wall clock at the start of the stream."""

    def record(self, event: PlannedEvent) -> tuple[Outgoing, int]:
        """The record of an event, and the moment it tells of."""
        recipe = RECIPES[event.poison] if event.poison else None
        photo = event.photo.read()
        plain = photo if event.modality == IMAGE else event.photo.caption.encode()
        time_ms = self.start_ms + event.time_ms + (recipe.ahead_ms if recipe else 0)
        text = event.photo.caption or "Somebody."
        record = sample_event(
            subject_id=event.subject_id,
            modality=event.modality,
            event_id=event.event_id,
            origin=self.origin,
            time_ms=time_ms,
            content_type=recipe.content_type if recipe else JPEG if event.modality == IMAGE else PLAIN_TEXT,
            data=recipe.value(Ingredients(bounds=self.bounds, photo=photo, text=text)) if recipe else plain,
        )
        if recipe is None:
            return record, time_ms
        return _spoilt(record, has_key=recipe.has_key, has_time=recipe.has_time), time_ms


def _spoilt(record: Outgoing, *, has_key: bool, has_time: bool) -> Outgoing:
    headers = tuple(
        (name, value if has_time or name != "ce_time" else NOT_A_TIME) for name, value in record.headers
    )
    return Outgoing(key=record.key if has_key else None, value=record.value, headers=headers)


async def stream(
    settings: Settings, plan: Plan, books: Books, *, bounds: Bounds, check: Callable[[], None]
) -> None:
    """Publishes the plan and returns when every event is accounted for, or the time for it is over.

    Args:
        settings: Broker and topics.
        plan: What to publish.
        books: Filled on the way, so that others can watch.
        bounds: What the service allows; poison goes just beyond it.
        check: Called now and then; raises when waiting has become pointless.
    """
    topics = settings.topics
    async with (
        reader(settings, topics.matches, topics.dead_letters) as output,
        sender(settings) as out,
        asyncio.TaskGroup() as tasks,
    ):
        collecting = tasks.create_task(_collect(output, books, topics.matches))
        outbox = Outbox(origin=f"sightline-demo/{books.run}", bounds=bounds, start_ms=now_ms() + LEAD_MS)
        await _publish(settings, plan, books, out, outbox)
        await _settle(settings, books, check)
        collecting.cancel()


async def _collect(output: Reader, books: Books, matches: str) -> None:
    while True:
        for record in await output.read():
            books.enter(record, matches)


async def _publish(settings: Settings, plan: Plan, books: Books, out: Sender, outbox: Outbox) -> None:
    begins_s = time.monotonic() + (outbox.start_ms - now_ms()) / 1_000

    async def deliver(event: PlannedEvent) -> None:
        record, time_ms = outbox.record(event)
        delivered = await out.send(settings.topics.inputs[event.modality], record)
        books.published.append(
            Published(
                event=event,
                origin=outbox.origin,
                source=delivered.source,
                append_ms=delivered.append_ms,
                event_time_ms=time_ms,
            )
        )

    async with asyncio.TaskGroup() as sending:
        for event in plan.events:
            await asyncio.sleep(max(0.0, begins_s + event.at_ms / 1_000 - time.monotonic()))
            sending.create_task(deliver(event))


async def _settle(settings: Settings, books: Books, check: Callable[[], None]) -> None:
    patience_s = SETTLE_WITHIN_S + (settings.window_ms + settings.grace_ms) / 1_000
    until_s = time.monotonic() + patience_s
    while books.close().counts[Fate.UNACCOUNTED] and time.monotonic() < until_s:
        check()
        await asyncio.sleep(SETTLED_POLL_S)
    await asyncio.sleep(LINGER_S)
