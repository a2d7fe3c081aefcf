"""What the tail of the output says about inputs that come again after a restart.

Offsets are committed after their decisions are delivered, so inputs come again whose decision is out already.
The tail tells them by their coordinates: an input with a decision, and one set aside before it could be
joined, is acknowledged and not processed; one whose sample was unusable is joined again, but not
dead-lettered twice.

The watermark is not recovered: inputs that were held may be far behind it, and must not be late when they
come again. What is recovered is the event time before which nothing was held any more: every output carries
it, and what happened before is late, as it would have been. Copies of later events are known by their keys.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from stream import dead_letter_record, decision_record
from stream.dead_letter_record import decode_dead_letter
from stream.decision_record import decode_decision
from stream.events import RawRecord, Rejected, Source, SubjectId, Window
from stream.join import SeenKey, SubjectJoin
from stream.reasons import Stage
from stream.revisions import Announced


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedWindow:
    """A window of a subject with a delivered decision."""

    subject_id: SubjectId
    window: Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """What was said already about the inputs of one partition."""

    decided: frozenset[Source] = frozenset()
    """Inputs that a delivered final decision speaks for."""
    set_aside: frozenset[Source] = frozenset()
    """Inputs dead-lettered before or by the join."""
    unusable: frozenset[Source] = frozenset()
    """Inputs dead-lettered for their sample; they count as a missing modality of their window."""
    seen: tuple[SeenKey, ...] = ()
    windows: tuple[DecidedWindow, ...] = ()
    announced: tuple[Announced, ...] = ()
    """Decisions that may still be revised, in the order in which they were delivered."""
    settled_ms: int | None = None
    """Event time before which nothing waited any more: an input of before that is late."""
    unreadable: int = 0
    """Records of the tail that this version cannot read: more than 0 means inputs may be decided again."""

    def skips(self, source: Source) -> bool:
        """Whether this input is only to be acknowledged (and its time to be observed)."""
        return source in self.decided or source in self.set_aside

    def seed(self, join: SubjectJoin) -> None:
        """Gives a fresh join its memory back; to be done before its first event."""
        for decided in self.windows:
            join.seed_decided(decided.subject_id, decided.window)
        join.seed_seen(self.seen)
        if self.settled_ms is not None:
            join.seed_settled(self.settled_ms)


class TailFold:
    """Folds the output records of one partition number, in any order of topics, into what they cover."""

    def __init__(self, *, matches_topic: str) -> None:
        self._matches_topic = matches_topic
        self._decided: set[Source] = set()
        self._set_aside: set[Source] = set()
        self._unusable: set[Source] = set()
        self._seen: dict[SeenKey, None] = {}
        self._windows: dict[DecidedWindow, None] = {}
        self._announced: dict[str, Announced] = {}
        self._settled_ms: int | None = None
        self._unreadable = 0

    def add(self, record: RawRecord) -> None:
        """Takes in a record of the matches topic; any other topic's is read as a dead letter."""
        if record.source.topic == self._matches_topic:
            self._add_settled(record, decision_record.SETTLED)
            self._add_decision(record)
        else:
            self._add_settled(record, dead_letter_record.SETTLED)
            self._add_dead_letter(record)

    def covered(self) -> Covered:
        """What the records so far cover."""
        return Covered(
            decided=frozenset(self._decided),
            set_aside=frozenset(self._set_aside),
            unusable=frozenset(self._unusable),
            seen=tuple(self._seen),
            windows=tuple(self._windows),
            announced=tuple(
                replace(told, inputs=open_inputs)
                for told in self._announced.values()
                if (open_inputs := told.inputs - self._decided)
            ),
            settled_ms=self._settled_ms,
            unreadable=self._unreadable,
        )

    def _add_settled(self, record: RawRecord, header: str) -> None:
        """By the header of this topic alone: a dead letter carries whatever its producer wrote."""
        for name, value in record.headers:
            if name == header and value.isdigit():
                self._settled_ms = max(self._settled_ms or 0, int(value))

    def _add_decision(self, record: RawRecord) -> None:
        decision = decode_decision(record)
        if isinstance(decision, Rejected):
            self._unreadable += 1
            return
        if not decision.final:
            self._announced[decision.decision_id] = Announced(
                decision_id=decision.decision_id,
                revision=decision.revision,
                subject_id=SubjectId(decision.subject_id),
                inputs=frozenset(covered.input for covered in decision.covered()),
            )
            return
        window = Window(start_ms=decision.window.start_ms, end_ms=decision.window.end_ms)
        self._windows[DecidedWindow(subject_id=SubjectId(decision.subject_id), window=window)] = None
        for covered in decision.covered():
            self._decided.add(covered.input)
            key = SeenKey(
                origin=covered.origin, event_id=covered.event_id, event_time_ms=covered.event_time_ms
            )
            self._seen[key] = None

    def _add_dead_letter(self, record: RawRecord) -> None:
        letter = decode_dead_letter(record)
        if isinstance(letter, Rejected):
            self._unreadable += 1
        elif letter.stage is Stage.FEATURES:
            self._unusable.add(letter.source)
        else:
            self._set_aside.add(letter.source)


def read_back_to_ms(
    oldest_uncommitted_ms: Iterable[int], *, now_ms: int, window_ms: int, grace_ms: int, max_skew_ms: int = 0
) -> int:
    """The append time from which the output tail must be read.

    A decision that covers an uncommitted input was appended after it. Decisions of windows that the input
    could still fall into may be older, by a window, the grace, and as far as event times may run ahead of the
    broker's clock. The last output is always read: it says what is settled, and what that leaves open is
    known by the keys of as long before.

    Args:
        oldest_uncommitted_ms: Append time of the oldest uncommitted input of each topic that has one, and of
            the partition's last output.
        now_ms: Stands in where there is none of them.
        window_ms: As in the join's policy.
        grace_ms: As in the join's policy.
        max_skew_ms: As in the clock.
    """
    oldest_ms = min(oldest_uncommitted_ms, default=now_ms)
    return max(0, oldest_ms - window_ms - grace_ms - max_skew_ms)
