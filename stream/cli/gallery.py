"""`sightline gallery`: the live gallery, searched by its own samples."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from index.errors import GalleryError
from index.faiss_gallery import FaissGallery
from index.gallery_check import GalleryReport, TargetRow, check_gallery
from index.policy import Policy
from index.records import IdentityId, Mask, TemplateId
from stream.cli.console import Exit, fail, out, print_json
from stream.cli.enrol import counting
from stream.cli.identities import Enrolments, fold_gallery
from stream.cli.kafka_clients import reader
from stream.cli.options import AsJson, Bootstrap, settings_with
from stream.cli.running import ending_well, run
from stream.worker.policy import policy_of, target_fpirs
from stream.worker.settings import Settings

app = typer.Typer(
    name="gallery", help="Look the live gallery over: check.", no_args_is_help=True, add_completion=False
)

TARGETS = (0.1, 0.03, 0.01)
"""FPIRs that are shown beside the configured one."""

Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 when there is a finding.")]
Top = Annotated[
    int, typer.Option("--top", min=0, help="Show so many of the most alike, though none is confusable.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A template that no worker can search."""

    identity_id: IdentityId
    template_id: TemplateId
    detail: str


@app.callback()
def gallery() -> None:
    """Look the live gallery over: check."""


@app.command()
def check(
    top: Top = 10, strict: Strict = False, bootstrap: Bootstrap = None, as_json: AsJson = False
) -> None:
    """Search the live gallery by its own samples: who is confusable, what is doubtful, what to expect.

    Changes nothing. Uses the policy and the target FPIR of the settings: give it those of the workers.
    """
    settings = settings_with(bootstrap=bootstrap)
    version, enrolled = run(_read(settings))
    if not enrolled:
        fail("Nobody is enrolled; `sightline enrol` enrols a folder of people.")
    with ending_well():
        policy = policy_of(settings, {})
        searched, refused = _searchable(policy, enrolled, version)
        with counting("checking", searched.templates) as tick:
            report = check_gallery(
                searched,
                target_fpir=target_fpirs(settings, policy),
                others=TARGETS,
                top=top,
                on_template=tick,
            )
    if as_json:
        print_json(_document(report, refused, version))
    else:
        _show(report, refused, version)
    if strict and (report.findings or refused):
        raise typer.Exit(Exit.FAILURE)


async def _read(settings: Settings) -> tuple[int, Enrolments]:
    """The gallery topic now: its version, and who is in it."""
    async with reader(settings, settings.topics.gallery, from_beginning=True) as topic:
        records = await topic.read_to_end()
    return max((record.source.offset + 1 for record in records), default=0), fold_gallery(records)


def _searchable(
    policy: Policy, enrolled: Enrolments, version: int
) -> tuple[FaissGallery, tuple[Refused, ...]]:
    """The gallery that a worker of this policy has, and what it leaves out."""
    made, refused = FaissGallery(policy), []
    for identity_id, templates in enrolled.items():
        for template_id, template in templates.items():
            try:
                made.enrol(template, version=version)
            except GalleryError as error:
                refused.append(Refused(identity_id=identity_id, template_id=template_id, detail=str(error)))
    return made, tuple(refused)


def _document(report: GalleryReport, refused: Sequence[Refused], version: int) -> dict[str, Any]:
    return {
        "version": version,
        "identities": report.identities,
        "templates": report.templates,
        "findings": report.findings + len(refused),
        "targets": [_target(row) for row in report.targets],
        "confusable": [asdict(pair) | {"over": pair.over} for pair in report.confusable],
        "outliers": [asdict(outlier) for outlier in report.outliers],
        "weak": [asdict(sample) for sample in report.weak],
        "refused": [asdict(one) for one in refused],
        "single_sample": list(report.single_sample),
    }


def _target(row: TargetRow) -> dict[str, Any]:
    measured = row.missed.searches > 0
    return {
        "mask": _name(row.mask),
        "threshold": asdict(row.threshold),
        "expected_fnir": row.missed.fnir if measured else None,
        "interval": list(row.missed.interval) if measured else None,
        "searches": row.missed.searches,
    }


def _show(report: GalleryReport, refused: Sequence[Refused], version: int) -> None:
    out.print(f"gallery version {version}: {report.identities} identities, {report.templates} templates")
    targets = Table("target FPIR", "mask", "threshold", "from", "expected FNIR")
    for row in report.targets:
        threshold, lost = row.threshold, row.missed
        targets.add_row(
            f"{threshold.target_fpir:g}",
            _name(row.mask),
            f"{threshold.score:.2f}{_interval(threshold.interval, 2)}",
            f"{threshold.basis}, {threshold.searches}",
            f"{lost.fnir:.3f}{_interval(lost.interval, 3)} of {lost.searches}"
            if lost.searches
            else "unknown",
            end_section=row.mask == report.targets[-1].mask,
        )
    out.print(targets)
    if report.confusable:
        pairs = Table("identity", "sample", "is like", "sample", "score", "a match from")
        for pair in report.confusable:
            names = (pair.identity_id, pair.template_id, pair.other_id, pair.other_template_id)
            score = f"[red]{pair.score:.2f}[/]" if pair.over else f"{pair.score:.2f}"
            pairs.add_row(*map(escape, names), score, f"{pair.threshold:.2f}")
        out.print(pairs)
    doubtful = Table("identity", "sample", "what is wrong")
    for outlier in report.outliers:
        wrong = f"score {outlier.score:.2f} with the identity's others: perhaps somebody else's"
        doubtful.add_row(escape(outlier.identity_id), escape(outlier.template_id), wrong)
    for sample in report.weak:
        weak = sample.weak
        wrong = f"{weak.modality} quality {weak.quality:.2f} under {weak.floor:.2f}"
        doubtful.add_row(escape(sample.identity_id), escape(sample.template_id), wrong)
    for one in refused:
        doubtful.add_row(
            escape(one.identity_id), escape(one.template_id), f"not searched: {escape(one.detail)}"
        )
    if doubtful.row_count:
        out.print(doubtful)
    over = sum(pair.over for pair in report.confusable)
    out.print(
        f"{report.findings + len(refused)} findings: {over} confusable pairs, "
        f"{len(report.outliers)} outliers, {len(report.weak)} weak samples, {len(refused)} not searched; "
        f"{len(report.single_sample)} identities have one sample"
    )


def _interval(interval: tuple[float, float] | None, decimals: int) -> str:
    return "" if interval is None else f" [{interval[0]:.{decimals}f}, {interval[1]:.{decimals}f}]"


def _name(mask: Mask) -> str:
    return "+".join(sorted(mask))
