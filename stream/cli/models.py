"""`sightline models`: which model packs there are, fetching them, and checking them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from stream.cli.console import Exit, err, fail, out, print_json
from stream.features.errors import ModelError
from stream.features.models import PACKS, Pack, UrlSource, pack_folder, pack_named, variants_in, verify
from stream.local.model_pull import Progress as PullProgress
from stream.local.model_pull import pull as pull_pack
from stream.worker.settings import Settings

app = typer.Typer(
    name="models",
    help="Model packs: list, pull, verify, quantise.",
    no_args_is_help=True,
    add_completion=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]
_PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_SEED = 20260
Names = Annotated[list[str] | None, typer.Argument(help="Packs; the configured one when none is named.")]


@app.command("list")
def list_packs(as_json: AsJson = False) -> None:
    """List the packs: dimension, size, licence, what is known of their origin, and whether they are here."""
    cache_dir = Settings().cache_dir
    try:
        packs = (*PACKS.values(), *variants_in(cache_dir))
    except ModelError as error:
        fail(error)
    rows = [_row(pack, cache_dir) for pack in packs]
    if as_json:
        print_json(rows)
        return
    table = Table("pack", "D", "MB", "here", "from", "licence")
    for row in rows:
        megabytes = f"{row['size_bytes'] / 1e6:.1f}"
        here = "yes" if row["complete"] else "no"
        table.add_row(row["name"], str(row["dimension"]), megabytes, here, row["source"], row["licence"])
    out.print(table)
    for row in rows:
        out.print(f"{row['name']}: {row['provenance']}")


@app.command()
def pull(
    names: Names = None,
    from_folder: Annotated[
        Path | None, typer.Option("--from", help="Take the files from this folder.", file_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch packs into the cache folder; every file is checked against its registered SHA-256."""
    settings = Settings()
    packs = _packs(names, settings)
    with pull_bars() as tell:
        try:
            for pack in packs:
                pull_pack(pack, settings.cache_dir, from_folder=from_folder, progress=tell)
        except ModelError as error:
            fail(error)
    _report(packs, settings.cache_dir, as_json=as_json)


@contextmanager
def pull_bars() -> Iterator[PullProgress]:
    """Progress bars on stderr, one a file, each appearing when something of its file has come."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, so_far_bytes: int, total_bytes: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total_bytes)
            bars.update(tasks[name], completed=so_far_bytes)

        yield tell


@app.command("verify")
def verify_packs(names: Names = None, as_json: AsJson = False) -> None:
    """Check the files of packs against their registered SHA-256; exit code 1 when one is not it."""
    settings = Settings()
    packs = _packs(names, settings)
    _report(packs, settings.cache_dir, as_json=as_json)
    if any(verify(pack, pack_folder(pack, settings.cache_dir)) for pack in packs):
        raise typer.Exit(Exit.FAILURE)


@app.command("quantise")
def quantise_pack(
    images: Annotated[
        Path,
        typer.Option(help="Folder of your photos, searched with its folders.", exists=True, file_okay=False),
    ],
    name: Annotated[str, typer.Argument(help="The pack whose embedder is made smaller.")] = "mobilefacenet",
    faces: Annotated[int, typer.Option(min=32, help="How many faces give the ranges.")] = 128,
    as_json: AsJson = False,
) -> None:
    """Make the int8 variant of a pack from your own photos; a pack and a contract of its own."""
    from stream.features.encoders import contract_of  # late: listing packs needs no OpenCV
    from stream.local.quantise import quantise

    settings = Settings()
    (base,) = _packs([name], settings)
    photos = sorted(p for p in images.rglob("*") if p.suffix.lower() in _PHOTO_SUFFIXES)
    random.Random(_SEED).shuffle(photos)  # noqa: S311 - the same photos each time, from all folders alike
    try:
        made = quantise(base, settings.cache_dir, photos, faces=faces)
    except ModelError as error:
        fail(error)
    contract = contract_of(made.pack)
    if as_json:
        print_json(
            {
                **_row(made.pack, settings.cache_dir),
                "contract_id": contract,
                "faces": made.faces,
                "checked": made.checked,
                "cosine_mean": round(made.cosine_mean, 4),
                "cosine_least": round(made.cosine_least, 4),
                "cpu_ratio": round(made.cpu_ratio, 3),
            }
        )
        return
    out.print(
        f"{made.pack.name}: contract {contract}, ranges of {made.faces} faces; on {made.checked} others the "
        f"cosine to {base.name} is {made.cosine_mean:.4f} (least {made.cosine_least:.4f}), the embedder's "
        f"CPU time {made.cpu_ratio:.2f} of what it was"
    )
    out.print(
        f"Its vectors are its own: enrol again, with SIGHTLINE_PACK={made.pack.name} and a policy fitted on "
        "it in SIGHTLINE_POLICY"
    )


def _packs(names: list[str] | None, settings: Settings) -> list[Pack]:
    try:
        return [pack_named(name, settings.cache_dir) for name in names or [settings.pack]]
    except ModelError as error:
        raise typer.BadParameter(str(error)) from error


def _row(pack: Pack, cache_dir: Path) -> dict[str, Any]:
    source = pack.source
    return {
        "name": pack.name,
        "dimension": pack.dimension,
        "licence": pack.licence,
        "provenance": pack.provenance,
        "source": {"NpmSource": "npm", "UrlSource": "public address"}.get(
            type(source).__name__, "your folder"
        ),
        "urls": dict(source.urls) if isinstance(source, UrlSource) else {},
        "size_bytes": sum(file.size_bytes for file in pack.files),
        "files": {file.name: file.sha256 for file in pack.files},
        "folder": str(pack_folder(pack, cache_dir)),
        "complete": not verify(pack, pack_folder(pack, cache_dir)),
    }


def _report(packs: list[Pack], cache_dir: Path, *, as_json: bool) -> None:
    faults = {pack.name: verify(pack, pack_folder(pack, cache_dir)) for pack in packs}
    if as_json:
        print_json(
            [
                {**_row(pack, cache_dir), "faults": [str(fault) for fault in faults[pack.name]]}
                for pack in packs
            ]
        )
        return
    for pack in packs:
        if not faults[pack.name]:
            out.print(f"{pack.name}: {len(pack.files)} files as registered in {pack_folder(pack, cache_dir)}")
        for fault in faults[pack.name]:
            out.print(f"{pack.name}: {fault}; run `sightline models pull {pack.name}`")
