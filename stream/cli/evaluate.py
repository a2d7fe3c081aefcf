"""`sightline evaluate`: how well it recognises, measured on labelled people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from index.errors import GalleryError
from index.records import IMAGE, TEXT, Modality
from stream.cli.bars import step_bars
from stream.cli.console import Exit, err, fail, out, print_json
from stream.cli.demo_people import render
from stream.cli.evaluate_view import comparison_view, view
from stream.cli.options import AsJson, settings_with
from stream.cli.running import ending_well
from stream.demo.choice import Kind, choose
from stream.demo.folders import read_people
from stream.demo.people import Photo
from stream.demo.rendered import RenderPlan
from stream.evaluation.changes import Comparison, compare, read_baseline
from stream.evaluation.evaluate import Extract, Plan, Subject, plan_of
from stream.evaluation.evaluate import evaluate as measure
from stream.evaluation.feature_store import FeatureStore
from stream.evaluation.page import page
from stream.evaluation.plots import plots
from stream.evaluation.report import Report
from stream.evaluation.report import as_json as report_as_json
from stream.evaluation.samples import Cast, Condition, Sample, cast_of, extract_all, parse_condition
from stream.evaluation.samples import Progress as Tell
from stream.evaluation.tables import markdown
from stream.features.extractor import Extractor
from stream.worker.policy import policy_of
from stream.worker.service import extractors_of

RENDERED = RenderPlan(enrolled=40, strangers=40, probes=3)
"""People where there are no photos: half a minute of rendering."""

PeoplePath = Annotated[
    Path | None,
    typer.Argument(
        help="A folder of people (DIR/<identity>/<photo>.jpg) or a manifest CSV. Otherwise SIGHTLINE_DATA, "
        "else photos at hand, else rendered people."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Write report.html, report.md, report.json and the plots here.",
        file_okay=False,
    ),
]
Pack = Annotated[str | None, typer.Option("--pack", help="Model pack: see `sightline models list`.")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="A policy file instead of the one shipped with the pack.")
]
Conditions = Annotated[
    str,
    typer.Option(
        "--conditions",
        metavar="NAME,…",
        help="clean, blurred, small, covered, jpeg, dark, mix; each but clean with :light, :medium or "
        ":strong where wanted. All at medium when not given.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of roles, degradations, draws and intervals.")]
Quick = Annotated[bool, typer.Option("--quick", help="Clean and mix only, fewer draws: a first look.")]
NoPhotos = Annotated[
    bool, typer.Option("--no-photos", help="Leave the photos of the worst confusions out of report.html.")
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline", metavar="JSON", help="An earlier report.json: shows what changed.", dir_okay=False
    ),
]
Features = Annotated[
    Path | None,
    typer.Option(
        "--features",
        metavar="DIR",
        help="Keep the features of the photos here, and take them from here: biometric data.",
        file_okay=False,
    ),
]


def evaluate(
    path: PeoplePath = None,
    out_dir: Out = None,
    pack: Pack = None,
    policy: PolicyFile = None,
    conditions: Conditions = "",
    seed: Seed = 0,
    quick: Quick = False,
    no_photos: NoPhotos = False,
    baseline: Baseline = None,
    features: Features = None,
    as_json: AsJson = False,
) -> None:
    """Measure recognition on labelled people: rates with intervals, by condition and mask.

    Who is enrolled and who is a stranger the manifest's roles say, or the seed draws. Nothing is sent to a
    broker, and nothing is written without --out or --features. With --out, report.html shows photos of the
    people whom the service confuses: keep it as you keep the photos, or give --no-photos.
    """
    settings = settings_with(pack=pack, policy=policy, modalities=(IMAGE, TEXT))
    plan = plan_of(seed=seed, conditions=_conditions(conditions), quick=quick)
    with ending_well():
        before = read_baseline(baseline) if baseline else None
        data, cast = _people(path, seed)
        extractors = extractors_of(settings)
        try:
            bound = policy_of(settings, {m: e.contract_id for m, e in extractors.items()})
        except GalleryError as error:
            fail(error)
        subject = Subject(version=version("sightline"), data=data, pack=settings.pack, policy=bound)
        with step_bars() as tell:
            extract = _extraction(extractors, plan, settings.extract_threads, features, tell)
            report = measure(subject, cast, extract, plan, tell)
        plain = report_as_json(report)
        comparison = None if before is None else compare(before, plain)
        if out_dir is not None:
            _write(out_dir, report, plain, None if no_photos else _photos(cast), comparison)
    if as_json:
        print_json(plain)
        return
    out.print(view(report))
    if comparison:
        out.print(comparison_view(comparison))


def _conditions(text: str) -> tuple[Condition, ...]:
    try:
        return tuple(parse_condition(name.strip()) for name in text.split(",") if name.strip())
    except ValueError as error:
        fail(error, code=Exit.USAGE)


def _people(path: Path | None, seed: int) -> tuple[str, Cast]:
    """What the report calls them, and who is who."""
    choice = choose(path)
    if choice.kind is Kind.FILES and choice.path is not None:
        return choice.path.name, cast_of(choice.name, read_people(choice.path), seed=seed)
    people = render(replace(RENDERED, seed=seed))
    return people.data, Cast(enrolled=people.enrolled, strangers=people.strangers)


def _extraction(
    extractors: Mapping[Modality, Extractor], plan: Plan, threads: int, folder: Path | None, tell: Tell
) -> Extract:
    contracts = {modality: extractor.contract_id for modality, extractor in extractors.items()}
    store = FeatureStore(folder, contracts, seed=plan.seed) if folder else None

    def extract(photos: Sequence[tuple[str, Photo]], condition: Condition, what: str) -> list[Sample]:
        kept = store.load(photos, condition) if store else None
        if kept is not None:
            return kept
        samples = extract_all(
            photos, extractors, condition, seed=plan.seed, threads=threads, what=what, progress=tell
        )
        if store:
            store.save(samples, condition)
        return samples

    return extract


def _photos(cast: Cast) -> Mapping[str, Photo]:
    everybody = (*cast.enrolled, *cast.strangers)
    return {photo.name: photo for person in everybody for photo in (*person.enrolled, *person.probes)}


def _write(
    folder: Path,
    report: Report,
    plain: Mapping[str, Any],
    photos: Mapping[str, Photo] | None,
    comparison: Comparison | None,
) -> None:
    drawn = plots(report)
    html = page(report, drawn, photos=photos, comparison=comparison)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, png in drawn.items():
            (folder / name).write_bytes(png)
        (folder / "report.json").write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", "utf-8")
        (folder / "report.md").write_text(markdown(report), "utf-8")
        (folder / "report.html").write_text(html, "utf-8")
    except OSError as error:
        fail(f"cannot write the report to {folder} ({error.strerror}); give --out another folder")
    err.print(
        f"{folder / 'report.html'} holds everything; report.md, report.json and the plots lie beside it"
    )
