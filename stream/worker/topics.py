"""The names and shapes of every topic: the one home that `init`, the preflight and the docs share."""

from dataclasses import dataclass
from enum import StrEnum

from index.records import IMAGE, TEXT, Modality

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

KAFKA_RECORD_BYTES = 1_048_588
"""Kafka's own default of `max.message.bytes`: 1 MiB and the head of a batch."""

ENVELOPE_BYTES = 256 << 10
"""Room for what surrounds a payload: key, headers, the JSON of a request."""

ERASURE_MS = HOUR_MS
"""How long an erased template may stay in the log of a compacted topic before compaction takes it up."""

TOMBSTONE_MS = 7 * DAY_MS
"""How long a tombstone stays: a reader away for longer may miss it and has to read the topic from its
start."""


class Cleanup(StrEnum):
    """Kafka's `cleanup.policy`."""

    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """One topic as it has to be."""

    name: str
    partitions: int
    cleanup: Cleanup
    retention_ms: int | None
    """None for a compacted topic."""
    append_time: bool
    """LogAppendTime: the broker's clock stands on the record, which no producer can forge."""
    max_record_bytes: int = KAFKA_RECORD_BYTES
    """`max.message.bytes`."""

    @property
    def timestamp_type(self) -> str:
        """Kafka's `message.timestamp.type`."""
        return "LogAppendTime" if self.append_time else "CreateTime"

    def configs(self) -> dict[str, str]:
        """The configuration of the topic as Kafka takes it.

        Compaction leaves the segment that is being written alone and, by default, waits until half of the log
        is
        stale: an erased template could stay for weeks. Here segments are closed and compacted within
        `ERASURE_MS`.
        """
        configs = {
            "cleanup.policy": self.cleanup.value,
            "message.timestamp.type": self.timestamp_type,
            "max.message.bytes": str(self.max_record_bytes),
        }
        if self.retention_ms is not None:
            configs["retention.ms"] = str(self.retention_ms)
        if self.cleanup is Cleanup.COMPACT:
            configs |= {
                "segment.ms": str(ERASURE_MS),
                "max.compaction.lag.ms": str(ERASURE_MS),
                "min.cleanable.dirty.ratio": "0.1",
                "delete.retention.ms": str(TOMBSTONE_MS),
            }
        return configs


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicNames:
    """Every topic name, made from a prefix and a version: `<prefix>.<what>.<version>`."""

    inputs: dict[Modality, str]
    """The input topic of each modality; a third modality is one more entry."""
    enrolments: str
    gallery: str
    enrolment_results: str
    matches: str
    dead_letters: str

    @classmethod
    def of(
        cls,
        *,
        prefix: str = "sightline",
        version: str = "v1",
        modalities: tuple[Modality, ...] = (IMAGE, TEXT),
    ) -> "TopicNames":
        """The names under a prefix: the input topic of modality `m` is `<prefix>.<m>s.<version>`."""

        def name(what: str) -> str:
            return f"{prefix}.{what}.{version}"

        return cls(
            inputs={m: name(f"{m}s") for m in modalities},
            enrolments=name("enrolments"),
            gallery=name("gallery"),
            enrolment_results=name("enrolment-results"),
            matches=name("matches"),
            dead_letters=name("dead-letters"),
        )

    def modality_of(self, topic: str) -> Modality:
        """The modality whose input topic this is.

        Raises:
            KeyError: The topic is no input topic.
        """
        return {t: m for m, t in self.inputs.items()}[topic]

    def specs(self, *, partitions: int, max_payload_bytes: int = 4 << 20) -> tuple[TopicSpec, ...]:
        """What `init` creates and the preflight demands.

        Inputs, matches and dead letters are co-partitioned: a decision and a dead letter go to the partition
        number of their inputs, so that a worker that takes a partition over finds what was already said about
        it. The gallery has one partition: its offset is then the gallery's version, one total order for every
        worker.

        Args:
            partitions: Of every co-partitioned topic.
            max_payload_bytes: The largest payload the service accepts. An enrolment carries it in base64, one
            third
                longer; a dead letter is what was sent, with the headers that say why it was set aside.
        """
        intake_bytes = max_payload_bytes * 4 // 3 + ENVELOPE_BYTES

        def stream(name: str, retention_ms: int, max_record_bytes: int = KAFKA_RECORD_BYTES) -> TopicSpec:
            return TopicSpec(
                name=name,
                partitions=partitions,
                cleanup=Cleanup.DELETE,
                retention_ms=retention_ms,
                append_time=True,
                max_record_bytes=max_record_bytes,
            )

        return (
            *(stream(topic, DAY_MS, intake_bytes) for topic in self.inputs.values()),
            stream(self.enrolments, DAY_MS, intake_bytes),
            TopicSpec(
                name=self.gallery,
                partitions=1,
                cleanup=Cleanup.COMPACT,
                retention_ms=None,
                append_time=False,
            ),
            stream(self.enrolment_results, 7 * DAY_MS),
            stream(self.matches, 7 * DAY_MS),
            stream(self.dead_letters, 3 * DAY_MS, intake_bytes + ENVELOPE_BYTES),
        )
