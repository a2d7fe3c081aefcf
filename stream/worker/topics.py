"""The names and shapes of every topic: the one home that `init`, the preflight and the documentation share."""

from dataclasses import dataclass
from enum import StrEnum

from index.records import IMAGE, TEXT, Modality

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


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

    def specs(self, *, partitions: int) -> tuple[TopicSpec, ...]:
        """What `init` creates and the preflight demands.

        Inputs, matches and dead letters are co-partitioned: a decision and a dead letter go to the partition number
        of their inputs, so that a worker that takes a partition over finds what was already said about it. The
        gallery has one partition: its offset is then the gallery's version, one total order for every worker.
        """
        spec = TopicSpec
        delete, compact = Cleanup.DELETE, Cleanup.COMPACT
        n = partitions
        inputs = tuple(
            spec(name=t, partitions=n, cleanup=delete, retention_ms=24 * HOUR_MS, append_time=True)
            for t in self.inputs.values()
        )
        return (
            *inputs,
            spec(name=self.enrolments, partitions=n, cleanup=delete, retention_ms=DAY_MS, append_time=True),
            spec(name=self.gallery, partitions=1, cleanup=compact, retention_ms=None, append_time=False),
            spec(
                name=self.enrolment_results,
                partitions=n,
                cleanup=delete,
                retention_ms=7 * DAY_MS,
                append_time=True,
            ),
            spec(name=self.matches, partitions=n, cleanup=delete, retention_ms=7 * DAY_MS, append_time=True),
            spec(
                name=self.dead_letters,
                partitions=n,
                cleanup=delete,
                retention_ms=3 * DAY_MS,
                append_time=True,
            ),
        )
