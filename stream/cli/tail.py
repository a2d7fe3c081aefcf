"""`sightline tail`: decisions as they are made."""

import json
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.markup import escape

from index.records import Outcome
from stream.cli.console import err, out
from stream.cli.kafka_clients import reader
from stream.cli.options import Bootstrap, settings_with
from stream.cli.running import run
from stream.decision_record import decode_decision
from stream.decision_view import DecisionRecord, SufficientPart
from stream.envelope import rfc3339
from stream.events import RawRecord, Rejected
from stream.worker.settings import Settings

JsonLines = Annotated[
    bool, typer.Option("--json", help="Print each decision as one line of JSON, as it stands on the topic.")
]
FromBeginning = Annotated[
    bool, typer.Option("--from-beginning", help="Begin with the oldest decision, not with the next one.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many decisions.")]

COLOURS = {
    Outcome.MATCH: "green",
    Outcome.NO_MATCH: "yellow",
    Outcome.AMBIGUOUS: "magenta",
    Outcome.CONFLICT: "red",
    Outcome.INSUFFICIENT: "dim",
}


def tail(
    bootstrap: Bootstrap = None,
    from_beginning: FromBeginning = False,
    limit: Limit = None,
    as_json: JsonLines = False,
) -> None:
    """Show decisions as they are made, until Ctrl-C."""
    run(
        _tail(settings_with(bootstrap=bootstrap), from_beginning=from_beginning, limit=limit, as_json=as_json)
    )


async def _tail(settings: Settings, *, from_beginning: bool, limit: int | None, as_json: bool) -> None:
    shown = 0
    async with reader(settings, settings.topics.matches, from_beginning=from_beginning) as topic:
        while limit is None or shown < limit:
            for record in (await topic.read())[: None if limit is None else limit - shown]:
                shown += _show(record, as_json=as_json)


def _show(record: RawRecord, *, as_json: bool) -> bool:
    """Prints one decision; says so where there is none in the record."""
    decision = decode_decision(record)
    if isinstance(decision, Rejected):
        err.print(f"skipped {record.source}: {escape(decision.detail)}")
        return False
    if as_json:
        # Read and written again: one line whatever the writer's layout, with every field it has.
        typer.echo(json.dumps(json.loads(record.value or b""), ensure_ascii=False))
    else:
        out.print(line_of(decision, record.timestamp_ms))
    return True


def line_of(decision: DecisionRecord, append_ms: int) -> str:
    """One decision in one line of rich markup."""
    colour = COLOURS[decision.outcome]
    best = decision.candidates[0] if decision.candidates else None
    nearest = (
        f"{escape(best.identity_id)} score {best.score:.2f} p {best.probability:.3f}" if best else "nobody"
    )
    if decision.identity_id is None and best:
        nearest = f"nearest {nearest}"
    missing = ", ".join(f"no {part.modality}: {part.reason}" for part in decision.modalities.missing)
    why = "; ".join(("", *map(escape, why_no_match(decision))))
    return (
        f"[dim]{rfc3339(append_ms)}[/] {escape(decision.subject_id):<24} [{colour}]{decision.outcome:<12}[/] "
        f"{nearest}{why} [dim]({'+'.join(decision.modalities.used) or 'nothing'}"
        f"{'; ' + missing if missing else ''}{'' if decision.final else '; may be revised'})[/]"
    )


def why_no_match(decision: DecisionRecord) -> Iterator[str]:
    """The explanation in words, the main reason first; nothing for a match."""
    explained = decision.explanation
    if explained is None:
        return
    yield from decision.reasons[:1]
    if explained.short_by is not None and decision.threshold is not None:
        yield f"{explained.short_by:.2f} short of {decision.threshold.score:.2f}"
    if explained.rival is not None:
        ahead = f"{explained.identity_id} leads {explained.rival.identity_id} by {explained.rival.lead:.2f}"
        yield f"{ahead}, {explained.rival.needed:.2f} needed"
    if explained.against is not None:
        told = explained.agreement
        by = "" if told is None else f", LLR {told.llr:.2f}, {told.needed:.2f} needed"
        yield f"{explained.against} speaks against {explained.identity_id}{by}"
    for weak in explained.weak:
        yield f"{weak.modality} quality {weak.quality:.2f} under {weak.floor:.2f}"
    if explained.would_suffice:
        yield f"would match {explained.identity_id or 'somebody'} by " + " or ".join(
            map(_sample, explained.would_suffice)
        )


def _sample(needed: SufficientPart) -> str:
    was = "" if needed.was is None else f", was {needed.was:.2f}"
    quality = "" if needed.quality is None else f", quality {needed.quality:.2f} or more"
    return f"{needed.modality} similarity {needed.similarity:.2f}{was}{quality}"
