"""One partition in one generation: acknowledged in order, seeded from the tail, mute when it is revoked."""

from index.records import Modality
from stream.events import Duplicate, Late, Source, SubjectId, Window
from stream.join import JoinPolicy, SeenKey
from stream.recovery import Covered, DecidedWindow
from stream.revisions import Revisions
from stream.worker.partition import PartitionState
from stream.worker.tail_reader import Tail
from tests.stream_factories import image, join_policy, raw, text

POLICY: JoinPolicy = join_policy()
IMAGE_TOPIC, TEXT_TOPIC = "images", "texts"


class Acks:
    """Stands in for Faust's event: an acknowledgement is all that is asked of it."""

    def __init__(self, log: list[int], offset: int) -> None:
        self._log = log
        self._offset = offset

    def ack(self) -> None:
        self._log.append(self._offset)


def state(covered: Covered | None = None) -> PartitionState:
    tail = Tail(first_offset={IMAGE_TOPIC: 0, TEXT_TOPIC: 0}, covered=covered or Covered())
    return PartitionState(0, policy=POLICY, revisions=Revisions.FINAL_ONLY, tail=tail)


def at(offset: int) -> Source:
    return Source(topic=IMAGE_TOPIC, partition=0, offset=offset)


def opened(partition: PartitionState, *offsets: int) -> list[int]:
    """Hands records over; the offsets that are acknowledged appear in the list."""
    acknowledged: list[int] = []
    for offset in offsets:
        assert partition.opened(at(offset), Acks(acknowledged, offset))
        partition.handed(raw(offset=offset, partition=0, timestamp_ms=offset))
    return acknowledged


def test_nothing_is_acknowledged_before_everything_under_it_is_done() -> None:
    """Faust commits past holes; an event that is held would be lost with them."""
    partition = state()
    acknowledged = opened(partition, 3, 4, 7)
    partition.done(at(7), at(4))
    assert (acknowledged, partition.unacked) == ([], 3)
    partition.done(at(3))
    assert (acknowledged, partition.unacked) == ([3, 4, 7], 0)


def test_a_revoked_partition_acknowledges_nothing() -> None:
    """Whoever owns it now answers for it."""
    partition = state()
    acknowledged = opened(partition, 3)
    partition.revoked = True
    partition.done(at(3))
    assert acknowledged == []


def test_a_record_handed_over_twice_is_processed_once() -> None:
    """Faust may hand a record over again after a seek."""
    partition = state()
    opened(partition, 3)
    assert not partition.opened(at(3), Acks([], 3))
    assert partition.next_offset[IMAGE_TOPIC] == 4


def test_the_join_knows_what_the_tail_of_the_output_says() -> None:
    """A half left out of a delivered decision is too late, and a copy of a decided event is a copy."""
    decided = DecidedWindow(subject_id=SubjectId("s"), window=Window(start_ms=0, end_ms=100))
    seen = SeenKey(origin="camera", event_id="image-10", event_time_ms=10)
    partition = state(Covered(windows=(decided,), seen=(seen,)))
    half, _ = partition.join.accept(text(50), None)
    copy, _ = partition.join.accept(image(10), None)
    assert isinstance(half, Late)
    assert isinstance(copy, Duplicate)
    assert half.event.modality == Modality("text")


def test_what_waits_is_not_settled() -> None:
    """Not before its decision is delivered: it comes again after a crash, and must not be late then."""
    partition = state()
    assert partition.settled_ms is None
    opened(partition, 3, 4)
    for offset, time_ms in ((3, 700), (4, 650)):
        partition.waits(image(time_ms, offset=offset))
    for topic in (IMAGE_TOPIC, TEXT_TOPIC):
        partition.clock.observe(topic, 1_000, 1_000)
    assert partition.settled_ms == 650
    partition.done(at(4))
    assert partition.settled_ms == 700
    partition.done(at(3))
    assert partition.settled_ms == 1_000 - POLICY.window_ms - POLICY.grace_ms
