"""Which people a run uses: those given, else photos at hand, else LFW when asked, else rendered people."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from stream.demo.rendered import DATA_NAME as RENDERED_NAME

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_PHOTOS = Path("..") / "shared" / "data" / "lfw"
"""Relative to the repository: photos that a development machine may have beside it."""
DATA_VARIABLE = "SIGHTLINE_DATA"


class Kind(StrEnum):
    """What sort of source it is."""

    FILES = "files"
    LFW = "lfw"
    RENDERED = "rendered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The source of a run's people."""

    kind: Kind
    path: Path | None = None
    """Of files."""
    name: str
    """What the run says it used."""


def choose(
    given: Path | None,
    *,
    lfw: bool = False,
    rendered: bool = False,
    environment: str | None = None,
    repository: Path = REPOSITORY,
) -> Choice:
    """The first that applies.

    Args:
        given: The folder or manifest that the operator named.
        lfw: Whether the operator asked for LFW, where no photos are at hand.
        rendered: Whether the operator wants rendered people even where photos are at hand.
        environment: Value of `SIGHTLINE_DATA`; None reads it.
        repository: Beside which shared photos are looked for.
    """
    if given is not None:
        return Choice(kind=Kind.FILES, path=given, name=f"photos of {given}")
    if rendered:
        return Choice(kind=Kind.RENDERED, name=RENDERED_NAME)
    if named := os.environ.get(DATA_VARIABLE, "") if environment is None else environment:
        return Choice(kind=Kind.FILES, path=Path(named), name=f"photos of {named} ({DATA_VARIABLE})")
    if (repository / SHARED_PHOTOS).is_dir():
        return Choice(kind=Kind.FILES, path=repository / SHARED_PHOTOS, name=f"photos of {SHARED_PHOTOS}")
    if lfw:
        return Choice(kind=Kind.LFW, name="LFW as scikit-learn fetches it")
    return Choice(kind=Kind.RENDERED, name=RENDERED_NAME)
