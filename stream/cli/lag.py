"""`sightline lag`: what the workers have not answered yet, and for how long it waits."""

import asyncio
from dataclasses import asdict, dataclass

from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError
from rich.table import Table

from stream.cli.console import out, print_json
from stream.cli.kafka_clients import Deadline, now_ms
from stream.cli.options import AsJson, Bootstrap, settings_with
from stream.cli.running import run
from stream.worker.admin import preflight
from stream.worker.settings import Settings
from stream.worker.tail_reader import committed_offsets, first_timestamps, peeking

COORDINATOR_WITHIN_S = 15.0
RETRY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """How far the group is in one partition of an input."""

    topic: str
    partition: int
    committed: int | None
    """The next offset to be answered; None before the group's first commit."""
    end: int
    lag: int
    """Records without an answer: those in the join too."""
    waits_s: float | None
    """Age of the oldest of them; None where there is none."""


def lag(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Show what the workers have not answered yet, and for how long it waits.

    By partition. Records that wait in the join for their other half count: a window and its grace of them
    is normal.
    """
    settings = settings_with(bootstrap=bootstrap)
    found = run(read_lag(settings))
    total = sum(one.lag for one in found)
    longest_s = max((one.waits_s for one in found if one.waits_s is not None), default=None)
    if as_json:
        print_json(
            {
                "group": settings.app_id,
                "lag": total,
                "waits_s": longest_s,
                "partitions": [asdict(one) for one in found],
            }
        )
        return
    table = Table("topic", "partition", "committed", "end", "lag", "oldest waits")
    for one in found:
        committed = "never" if one.committed is None else str(one.committed)
        table.add_row(
            one.topic, str(one.partition), committed, str(one.end), str(one.lag), _seconds(one.waits_s)
        )
    out.print(table)
    oldest = "" if longest_s is None else f", the oldest for {longest_s:.1f} s"
    out.print(f"{total} records wait for {settings.app_id}{oldest}")


async def read_lag(settings: Settings) -> tuple[PartitionLag, ...]:
    """The group's lag in every partition of the inputs and of the enrolments.

    Raises:
        BrokerUnreachableError: No broker lets us in.
        TopicMismatchError: Topics are missing or wrong.
    """
    await preflight(settings)
    names = settings.topics
    inputs = [
        TopicPartition(topic, partition)
        for topic in (*names.inputs.values(), names.enrolments)
        for partition in range(settings.partitions)
    ]
    committed = await _committed(settings)
    async with peeking(settings) as consumer:
        begins, ends = await consumer.beginning_offsets(inputs), await consumer.end_offsets(inputs)
        # What the broker has dropped meanwhile waits for nobody.
        first = {tp: max(committed.get(tp, 0), begins[tp]) for tp in inputs}
        oldest_ms = await first_timestamps(consumer, first)
    return tuple(
        PartitionLag(
            topic=tp.topic,
            partition=tp.partition,
            committed=committed.get(tp),
            end=ends[tp],
            lag=ends[tp] - first[tp],
            waits_s=max(0, now_ms() - oldest_ms[tp]) / 1000 if tp in oldest_ms else None,
        )
        for tp in inputs
    )


async def _committed(settings: Settings) -> dict[TopicPartition, int]:
    """A broker that never had a group makes its topic of offsets when it is first asked."""
    deadline = Deadline(COORDINATOR_WITHIN_S, waiting_for="the coordinator of the workers' group")
    while True:
        try:
            return await committed_offsets(settings)
        except GroupCoordinatorNotAvailableError:
            deadline.check()
            await asyncio.sleep(RETRY_S)


def _seconds(waits_s: float | None) -> str:
    return "" if waits_s is None else f"{waits_s:.1f} s"
