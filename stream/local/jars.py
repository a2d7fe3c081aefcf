"""Kafka's jars: pinned by sha256 in this folder, fetched once from Maven Central, checked at every start.

`python -m stream.local.jars 4.3.1 > stream/local/jars.lock.json` resolves another version and pins it.
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from stream.local.errors import JarsUnavailableError

LOCK_FILE = "jars.lock.json"
SLF4J_BINDING = "org.slf4j:slf4j-simple:2.0.17"
"""The version is that of the slf4j-api which Kafka 4.3 depends on."""

ATTEMPTS = 3
PARALLEL = 6
TIMEOUT_S = 30
PART_PREFIX = ".part-"

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all) while jars are downloaded; from several threads, never at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One jar, pinned."""

    coordinate: str
    """`group:artifact:version`, as Maven writes it."""
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        """`artifact-version.jar`."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


@dataclass(frozen=True, slots=True, kw_only=True)
class JarSet:
    """Everything that one version of Kafka needs on its class path."""

    kafka: str
    jars: tuple[Jar, ...]

    @property
    def size_bytes(self) -> int:
        """Size of all jars together."""
        return sum(jar.size_bytes for jar in self.jars)


Fetch = Callable[[Jar, Path, Callable[[int], None]], Path]
"""(jar, empty folder, told of each chunk's size) to the file, somewhere in that folder; not trusted."""


def pinned_jars() -> JarSet:
    """The jars that this version of Sightline was tested with."""
    lock = json.loads(resources.files(__package__).joinpath(LOCK_FILE).read_text(encoding="utf-8"))
    return JarSet(kafka=lock["kafka"], jars=tuple(Jar(**jar) for jar in lock["jars"]))


def ensure_jars(
    cache_dir: Path, jar_set: JarSet, *, progress: Progress | None = None, fetch: Fetch | None = None
) -> tuple[Path, ...]:
    """The paths of all jars, each with the pinned sha256; what is missing or broken is downloaded.

    With a sound cache the network is not touched. Several processes may call at once: the first one
    downloads, the others wait for it. A jar takes its name only after its hash was checked, so an interrupted
    download leaves nothing that could be mistaken for one.

    Raises:
        JarsUnavailableError: A jar could not be had in `ATTEMPTS` attempts, or the cache cannot be written.
    """
    folder = cache_dir / "kafka" / jar_set.kafka
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _exclusive(folder / ".lock"):
            for part in folder.glob(f"{PART_PREFIX}*"):  # left by a process that was killed
                shutil.rmtree(part, ignore_errors=True)
            missing = tuple(jar for jar in jar_set.jars if not _is_sound(folder / jar.file_name, jar))
            if missing:
                _download(missing, folder, progress, fetch or fetch_from_maven)
    except OSError as error:
        raise JarsUnavailableError(
            f"Kafka's jars cannot be kept in {folder}: {error}. Set SIGHTLINE_CACHE_DIR to a folder with "
            f"{jar_set.size_bytes >> 20} MB of room."
        ) from error
    return tuple(folder / jar.file_name for jar in jar_set.jars)


def fetch_from_maven(jar: Jar, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    """Downloads one jar from Maven Central.

    Raises:
        OSError: The network failed (requests' errors are OSErrors).
        RuntimeError: Maven Central does not have it.
    """
    from jgo.maven import MavenContext, PythonResolver

    @contextlib.contextmanager
    def reporting(_name: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        yield on_bytes

    resolver = PythonResolver(progress_callback=reporting)
    maven = MavenContext(resolver=resolver, repo_cache=folder, timeout=TIMEOUT_S)
    return Path(maven.create_dependency(jar.coordinate).artifact.resolve())


def resolve_jars(kafka: str) -> JarSet:
    """Resolves the class path of a Kafka version anew and hashes what it is made of.

    Raises:
        OSError: The network failed.
        RuntimeError: Maven Central does not have that version.
    """
    from jgo.maven import MavenContext, PythonResolver

    with tempfile.TemporaryDirectory() as folder:
        maven = MavenContext(resolver=PythonResolver(), repo_cache=Path(folder), timeout=TIMEOUT_S)
        roots = [maven.create_dependency(c) for c in (f"org.apache.kafka:kafka_2.13:{kafka}", SLF4J_BINDING)]
        direct, transitive = maven.resolver.resolve(roots)
        jars = [
            _pin(f"{d.groupId}:{d.artifactId}:{d.version}", Path(d.artifact.resolve()))
            for d in (*direct, *transitive)
            if d.scope in (None, "compile", "runtime")
        ]
    return JarSet(kafka=kafka, jars=tuple(sorted(jars, key=lambda jar: jar.coordinate)))


def _pin(coordinate: str, path: Path) -> Jar:
    return Jar(coordinate=coordinate, size_bytes=path.stat().st_size, sha256=_sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_sound(path: Path, jar: Jar) -> bool:
    return path.is_file() and path.stat().st_size == jar.size_bytes and _sha256(path) == jar.sha256


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Holds a file lock; the kernel lets go of it when the process dies, however it dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(jars: tuple[Jar, ...], folder: Path, progress: Progress | None, fetch: Fetch) -> None:
    total = sum(jar.size_bytes for jar in jars)
    done = 0
    lock = threading.Lock()

    def on_bytes(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            if progress is not None:
                # A jar fetched twice counts twice: the bar stays full rather than going past its end.
                progress(min(done, total), total)

    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="jars") as pool:
        futures = [pool.submit(_install, jar, folder, fetch, on_bytes) for jar in jars]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _install(jar: Jar, folder: Path, fetch: Fetch, on_bytes: Callable[[int], None]) -> None:
    failure = ""
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(dir=folder, prefix=PART_PREFIX) as part:
            try:
                path = fetch(jar, Path(part), on_bytes)
            except (OSError, RuntimeError) as error:
                failure = str(error)
                continue
            if _is_sound(path, jar):
                path.replace(folder / jar.file_name)
                return
            failure = (
                f"got {path.stat().st_size} bytes with sha256 {_sha256(path)}, wanted {jar.size_bytes} bytes"
            )
            failure += f" with {jar.sha256}"
    raise JarsUnavailableError(
        f"{jar.coordinate} could not be downloaded in {ATTEMPTS} attempts: {failure}. "
        "Check the connection to Maven Central and try again; what has arrived is kept."
    )


if __name__ == "__main__":
    json.dump(asdict(resolve_jars(sys.argv[1])), sys.stdout, indent=1)
    sys.stdout.write("\n")
