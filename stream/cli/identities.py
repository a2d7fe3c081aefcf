"""`sightline identities` and `sightline withdraw`: who is enrolled, by what, and no more."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from index.records import IdentityId, Template, TemplateId
from stream.cli.console import Exit, fail, out, print_json
from stream.cli.enrolling import answers_to, withdrawal_request
from stream.cli.kafka_clients import Deadline, new_run_id, reader
from stream.cli.options import AsJson, Bootstrap, settings_with
from stream.cli.running import run
from stream.envelope import rfc3339
from stream.events import Enrolled, EnrolmentResult, RawRecord, Withdrawn
from stream.gallery_record import decode_template
from stream.worker.settings import Settings

app = typer.Typer(
    name="identities", help="Who is enrolled: list, show.", no_args_is_help=True, add_completion=False
)

ERASED_WITHIN_S = 30.0

IdentityArgument = Annotated[str, typer.Argument(metavar="ID", help="An identity.")]

Enrolments = Mapping[IdentityId, Mapping[TemplateId, Template]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    identity_id: IdentityId
    templates: int
    modalities: tuple[str, ...]
    last_enrolled_at: str


@app.command("list")
def list_identities(bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """List the identities of the gallery topic, with the number of their templates."""
    rows = [
        _Row(
            identity_id=identity_id,
            templates=len(templates),
            modalities=tuple(sorted({modality for t in templates.values() for modality in t.features})),
            last_enrolled_at=rfc3339(max(t.enrolled_at_ms for t in templates.values())),
        )
        for identity_id, templates in sorted(run(read_gallery(settings_with(bootstrap=bootstrap))).items())
    ]
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    table = Table("identity", "templates", "modalities", "last enrolled")
    for row in rows:
        table.add_row(
            escape(row.identity_id), str(row.templates), ", ".join(row.modalities), row.last_enrolled_at
        )
    out.print(table)
    out.print(f"{len(rows)} identities, {sum(row.templates for row in rows)} templates")


@app.command()
def show(identity_id: IdentityArgument, bootstrap: Bootstrap = None, as_json: AsJson = False) -> None:
    """Show one identity: its templates, what they are made of, and their metadata. No vectors."""
    gallery = run(read_gallery(settings_with(bootstrap=bootstrap)))
    templates = gallery.get(IdentityId(identity_id))
    if templates is None:
        fail(f"{identity_id} is not enrolled; `sightline identities list` shows who is.")
    shown = {"identity_id": identity_id, "templates": [_template(t) for _, t in sorted(templates.items())]}
    if as_json:
        print_json(shown)
        return
    table = Table("template", "modality", "quality", "contract", "enrolled", "metadata")
    for _, template in sorted(templates.items()):
        for modality, feature in sorted(template.features.items()):
            table.add_row(
                escape(template.template_id),
                modality,
                "" if feature.quality is None else f"{feature.quality:.1f}",
                feature.contract_id,
                rfc3339(template.enrolled_at_ms),
                escape(", ".join(f"{name}={value}" for name, value in template.metadata.items())),
            )
    out.print(table)


def withdraw(
    identity_id: IdentityArgument,
    template: Annotated[str | None, typer.Option("--template", help="Only this template.")] = None,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw an identity, and wait until it is erased from the gallery topic.

    The topic keeps a tombstone in place of each template; the erased bytes leave the broker with its next
    compaction.
    """
    result = run(_withdraw(settings_with(bootstrap=bootstrap), identity_id, template))
    if as_json:
        print_json(
            {"identity_id": identity_id, "withdrawn": result.accepted, "reasons": list(result.reasons)}
        )
    elif result.accepted:
        out.print(f"{identity_id}: {result.detail}")
    if not result.accepted:
        if not as_json:
            fail(f"{identity_id}: {result.detail}; `sightline identities list` shows who is enrolled.")
        raise typer.Exit(Exit.FAILURE)


async def read_gallery(settings: Settings) -> Enrolments:
    """Everybody in the gallery topic now."""
    async with reader(settings, settings.topics.gallery, from_beginning=True) as topic:
        return fold_gallery(await topic.read_to_end())


def fold_gallery(records: Iterable[RawRecord]) -> Enrolments:
    """The gallery that a reader of these records has; what cannot be read is the worker's to report."""
    gallery: dict[IdentityId, dict[TemplateId, Template]] = defaultdict(dict)
    for record in records:
        match decode_template(record.key, record.value, record.source):
            case Enrolled(template=template):
                gallery[template.identity_id][template.template_id] = template
            case Withdrawn(identity_id=identity_id, template_id=template_id):
                gallery[identity_id].pop(template_id, None)
    return {identity_id: templates for identity_id, templates in gallery.items() if templates}


async def _withdraw(settings: Settings, identity_id: str, template_id: str | None) -> EnrolmentResult:
    request = withdrawal_request(new_run_id(), identity_id, template_id)
    (result,) = await answers_to(settings, [request])
    deadline = Deadline(ERASED_WITHIN_S, waiting_for=f"the tombstones of {identity_id}")
    while result.accepted and _is_enrolled(await read_gallery(settings), identity_id, template_id):
        deadline.check()
    return result


def _is_enrolled(gallery: Enrolments, identity_id: str, template_id: str | None) -> bool:
    templates = gallery.get(IdentityId(identity_id), {})
    return bool(templates) if template_id is None else TemplateId(template_id) in templates


def _template(template: Template) -> dict[str, Any]:
    return {
        "template_id": template.template_id,
        "enrolled_at": rfc3339(template.enrolled_at_ms),
        "metadata": dict(template.metadata),
        "modalities": {
            modality: {
                "contract_id": feature.contract_id,
                "dimension": len(feature.vector),
                "quality": feature.quality,
            }
            for modality, feature in sorted(template.features.items())
        },
    }
