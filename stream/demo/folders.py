"""People from the operator's own files: a folder of people, or a manifest that lists photos.

A folder of people is `DIR/<identity>/<photo>.jpg`. What a witness said about a photo stands beside it in
`<photo>.txt`, or in `DIR/captions.csv` with the columns `file` and `caption`. A manifest is a CSV with the
columns `file` (relative to it) and `identity`, and where known `role` (enrol, probe or stranger) and
`caption`. A folder that holds a `manifest.csv` is read by it.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from stream.demo.errors import PeopleError
from stream.demo.people import LabelledPhoto, Photo, Role

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
MANIFEST = "manifest.csv"
CAPTIONS = "captions.csv"
MAY_BE_EMPTY = frozenset({"caption"})


def read_people(path: Path) -> tuple[LabelledPhoto, ...]:
    """Every photo that a folder of people or a manifest names.

    Raises:
        PeopleError: There is nothing there that can be read so; the message says what is expected.
    """
    if path.is_file():
        return _read_manifest(path)
    if not path.is_dir():
        raise PeopleError(f"{path} does not exist; give a folder of people or a manifest CSV")
    if (path / MANIFEST).is_file():
        return _read_manifest(path / MANIFEST)
    return _read_folder(path)


def _read_folder(folder: Path) -> tuple[LabelledPhoto, ...]:
    captions = _captions(folder)
    files = sorted(p for p in folder.glob("*/*") if p.suffix.lower() in PHOTO_SUFFIXES)
    if not files:
        raise PeopleError(
            f"{folder} holds no photos as <identity>/<photo>.jpg (.jpeg, .png, .webp) and no {MANIFEST}; "
            "make one folder a person"
        )
    return tuple(
        LabelledPhoto(
            identity_id=file.parent.name,
            photo=Photo(
                name=file.relative_to(folder).as_posix(),
                caption=_caption_beside(file) or captions.get(file.relative_to(folder).as_posix(), ""),
                source=file,
            ),
        )
        for file in files
    )


def _caption_beside(file: Path) -> str:
    beside = file.with_suffix(".txt")
    return beside.read_text(encoding="utf-8").strip() if beside.is_file() else ""


def _captions(folder: Path) -> Mapping[str, str]:
    path = folder / CAPTIONS
    if not path.is_file():
        return {}
    return {row["file"]: row["caption"].strip() for row in _rows(path, ("file", "caption"))}


def _read_manifest(path: Path) -> tuple[LabelledPhoto, ...]:
    photos = tuple(
        LabelledPhoto(
            identity_id=row["identity"],
            photo=Photo(
                name=row["file"], caption=(row.get("caption") or "").strip(), source=path.parent / row["file"]
            ),
            role=_role(path, line, row.get("role") or ""),
        )
        for line, row in enumerate(_rows(path, ("file", "identity")), start=2)
    )
    if not photos:
        raise PeopleError(f"{path} lists no photos; give it one line a photo")
    for labelled in photos:
        if isinstance(labelled.photo.source, Path) and not labelled.photo.source.is_file():
            raise PeopleError(
                f"{path} lists {labelled.photo.name}, which is not there; paths are relative to {path.parent}"
            )
    return photos


def _role(path: Path, line: int, said: str) -> Role | None:
    try:
        return Role(said) if said else None
    except ValueError as error:
        raise PeopleError(
            f"{path} line {line} has the role {said!r}; roles are {', '.join(Role)}, or nothing"
        ) from error


def _rows(path: Path, required: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            columns = tuple(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PeopleError(f"cannot read {path} ({error}); it has to be a CSV in UTF-8") from error
    missing = [name for name in required if name not in columns]
    if missing:
        raise PeopleError(
            f"{path} has the columns {', '.join(columns) or '(none)'} and lacks {', '.join(missing)}; "
            "name them in its first line"
        )
    for line, row in enumerate(rows, start=2):
        if any(row[name] is None or (not row[name] and name not in MAY_BE_EMPTY) for name in required):
            raise PeopleError(f"{path} line {line} lacks {' or '.join(required)}; complete or remove it")
    return rows
