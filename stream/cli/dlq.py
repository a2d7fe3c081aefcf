"""`sightline dlq`: what was set aside, why, and once more from the start."""

from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from stream.cli.console import Exit, fail, out, print_json
from stream.cli.kafka_clients import Reader, now_ms, reader, sender
from stream.cli.options import AsJson, Bootstrap, settings_with
from stream.cli.running import run
from stream.dead_letter_record import DeadLetter, decode_dead_letter
from stream.envelope import Headers, Outgoing, rfc3339
from stream.events import Rejected, Source
from stream.reasons import Reason
from stream.worker.errors import WorkerError
from stream.worker.settings import Settings

app = typer.Typer(
    name="dlq", help="Dead letters: list, show, replay.", no_args_is_help=True, add_completion=False
)

ByReason = Annotated[Reason | None, typer.Option("--reason", help="Only those set aside for this reason.")]
Place = Annotated[str, typer.Argument(metavar="PARTITION/OFFSET", help="Where it stands: see `list`.")]
Places = Annotated[
    list[str] | None, typer.Argument(metavar="[PARTITION/OFFSET]...", help="Where they stand: see `list`.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Show so many, the youngest last.")]
Save = Annotated[Path | None, typer.Option("--save", help="Write the original payload to this file.")]
Now = Annotated[
    bool, typer.Option("--now", help="Let it have happened now; what was late would be late once more.")
]


class NoLetterError(WorkerError):
    """There is no dead letter at that place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter and where it stands."""

    place: str
    size_bytes: int
    letter: DeadLetter

    def summary(self) -> dict[str, Any]:
        """What is said of it in a list; never its payload."""
        letter = self.letter
        return {
            "place": self.place,
            "reason": letter.reason,
            "stage": letter.stage,
            "key": _text(letter.key),
            "source": f"{letter.source.topic}/{letter.source.partition}/{letter.source.offset}",
            "appended_at": rfc3339(letter.timestamp_ms),
            "size_bytes": self.size_bytes,
            "error": letter.error,
        }


@app.command("list")
def list_letters(
    reason: ByReason = None, limit: Limit = 50, bootstrap: Bootstrap = None, as_json: AsJson = False
) -> None:
    """List the dead letters that are kept: how many of each reason, and the youngest of them."""
    counts, youngest = run(_youngest(settings_with(bootstrap=bootstrap), reason, limit))
    if as_json:
        print_json({"counts": dict(counts), "letters": [letter.summary() for letter in youngest]})
        return
    table = Table("place", "reason", "key", "source", "appended", "error")
    for summary in (letter.summary() for letter in youngest):
        columns = ("place", "reason", "key", "source", "appended_at", "error")
        table.add_row(*(escape(str(summary[column] or "")) for column in columns))
    out.print(table)
    out.print(", ".join(f"{name} {n}" for name, n in counts.most_common()) or "no dead letters")


@app.command()
def show(place: Place, save: Save = None, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Show one dead letter with the headers that the original came with; its payload only to a file."""
    (found,) = run(_at(settings_with(bootstrap=bootstrap), [place]))
    if save is not None:
        save.write_bytes(found.letter.value or b"")
    shown = found.summary() | {"headers": {name: _text(value) for name, value in found.letter.headers}}
    if as_json:
        print_json(shown)
        return
    for name, value in shown.items():
        out.print(f"[bold]{name}[/] {escape(str(value))}")


@app.command()
def replay(
    places: Places = None,
    reason: ByReason = None,
    now: Now = False,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Publish originals once more, to the topic and partition that they came from.

    The letters stay where they are. What was accepted before it was set aside (stage `features`) is a
    duplicate for as long as the join remembers it.
    """
    if bool(places) == (reason is not None):
        fail("Name places, or a --reason; all dead letters at once are replayed by nobody.", code=Exit.USAGE)
    counts = run(_replay(settings_with(bootstrap=bootstrap), places or [], reason, now=now))
    if as_json:
        print_json({"replayed": sum(counts.values()), "by_topic": dict(counts)})
        return
    out.print(", ".join(f"{n} to {topic}" for topic, n in sorted(counts.items())) or "nothing to replay")


def anew(letter: DeadLetter, *, time_ms: int | None) -> Outgoing:
    """The original as it came; with `time_ms`, as if it had happened then. A bare record has no time."""
    headers: Headers = letter.headers
    if time_ms is not None:
        text = rfc3339(time_ms).encode()
        headers = tuple((name, text if name == "ce_time" else value) for name, value in headers)
    return Outgoing(key=letter.key, value=letter.value, headers=headers)


async def _replay(
    settings: Settings, places: Sequence[str], reason: Reason | None, *, now: bool
) -> Mapping[str, int]:
    names = settings.topics
    ours = {*names.inputs.values(), names.enrolments}
    counts: Counter[str] = Counter()
    async with reader(settings, names.dead_letters, from_beginning=True) as topic, sender(settings) as to:
        chosen = _of_reason(topic, reason) if reason else _each(await _letters_at(topic, settings, places))
        async for found in chosen:
            source = found.letter.source
            if source.topic not in ours:
                raise NoLetterError(
                    f"{found.place} came from {source.topic}, which is no input of this installation; "
                    "see SIGHTLINE_TOPIC_PREFIX"
                )
            record = anew(found.letter, time_ms=now_ms() if now else None)
            await to.send(source.topic, record, partition=source.partition)
            counts[source.topic] += 1
    return counts


async def _youngest(
    settings: Settings, reason: Reason | None, limit: int
) -> tuple[Counter[str], Sequence[Letter]]:
    counts: Counter[str] = Counter()
    youngest: deque[Letter] = deque(maxlen=limit)
    async with reader(settings, settings.topics.dead_letters, from_beginning=True) as topic:
        async for found in _of_reason(topic, reason):
            counts[found.letter.reason] += 1
            # Fifty photos are more than a list needs to hold.
            youngest.append(replace(found, letter=replace(found.letter, value=None)))
    return counts, sorted(youngest, key=lambda found: found.letter.timestamp_ms)


async def _at(settings: Settings, places: Sequence[str]) -> Sequence[Letter]:
    async with reader(settings, settings.topics.dead_letters) as topic:
        return await _letters_at(topic, settings, places)


async def _letters_at(topic: Reader, settings: Settings, places: Sequence[str]) -> Sequence[Letter]:
    found = []
    for place in places:
        partition, _, offset = place.partition("/")
        if not (partition.isdecimal() and offset.isdecimal()):
            raise NoLetterError(f"{place} is no PARTITION/OFFSET; `sightline dlq list` shows them.")
        source = Source(topic=settings.topics.dead_letters, partition=int(partition), offset=int(offset))
        record = await topic.at(source)
        letter = None if record is None else decode_dead_letter(record)
        if record is None or letter is None or isinstance(letter, Rejected):
            raise NoLetterError(f"There is no dead letter at {place}; `sightline dlq list` shows all.")
        found.append(Letter(place=place, size_bytes=len(record.value or b""), letter=letter))
    return found


async def _of_reason(topic: Reader, reason: Reason | None) -> AsyncIterator[Letter]:
    """Those of a reason, or all; what is no dead letter of ours is passed over."""
    async for record in topic.up_to_end():
        letter = decode_dead_letter(record)
        if isinstance(letter, DeadLetter) and reason in (None, letter.reason):
            place = f"{record.source.partition}/{record.source.offset}"
            yield Letter(place=place, size_bytes=len(record.value or b""), letter=letter)


async def _each(letters: Sequence[Letter]) -> AsyncIterator[Letter]:
    for letter in letters:
        yield letter


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "backslashreplace")
