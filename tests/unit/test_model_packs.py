"""Model packs are registered, fetched, checked, and refused when they are not what they should be."""

import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream.features.errors import ModelError
from stream.features.models import (
    PACKS,
    FolderSource,
    ModelFile,
    NpmSource,
    Pack,
    UrlSource,
    load_files,
    pack_folder,
    pack_named,
    verify,
)
from stream.local import model_pull
from stream.local.model_pull import PART_SUFFIX, npm_command, pull

CONTENT = bytes(range(256)) * 4096
"""One megabyte."""
CUT_AT = 300_000
"""Where a broken connection breaks, in bytes."""


def model_file(content: bytes = CONTENT, name: str = "net.onnx") -> ModelFile:
    return ModelFile(name=name, sha256=sha256(content).hexdigest(), size_bytes=len(content))


def made_pack(source: UrlSource | FolderSource, *files: ModelFile) -> Pack:
    return Pack(
        name="made",
        files=files or (model_file(),),
        source=source,
        licence="none",
        provenance="made up",
        dimension=4,
    )


class Server:
    """A file server on loopback that notes what it is asked for, and can break off or ignore ranges."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.break_off_at: int | None = None
        self.knows_ranges = True
        self.port = 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        content = self.files.get(request.path.lstrip("/"))
        if content is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.knows_ranges else 0
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        end = len(content) if self.break_off_at is None else self.break_off_at
        request.wfile.write(content[start:end])


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server.port = listening.server_address[1]
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield server
        listening.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as running:
        yield running


def served_pack(server: Server) -> Pack:
    return made_pack(UrlSource(urls={"net.onnx": server.url("net.onnx")}))


@pytest.mark.parametrize("pack", PACKS.values(), ids=list(PACKS))
def test_every_pack_says_where_it_is_from(pack: Pack) -> None:
    """Hashes are whole, a licence and the provenance are stated, and every file has a source."""
    assert all(len(file.sha256) == 64 and int(file.sha256, 16) and file.size_bytes > 0 for file in pack.files)
    assert pack.licence
    assert pack.provenance.endswith(".")
    assert pack.dimension > 0
    if isinstance(pack.source, UrlSource):
        assert set(pack.source.urls) == {file.name for file in pack.files}
        assert all(url.startswith("https://") for url in pack.source.urls.values())
    if isinstance(pack.source, NpmSource):
        assert all(file.path_in_source for file in pack.files)


def test_what_is_not_known_about_the_default_pack_is_said() -> None:
    """Nobody documented who trained its weights, and the registry says so."""
    assert "not documented" in pack_named("faceplugin").provenance


def test_an_unknown_pack_is_refused_with_the_names_of_all() -> None:
    """A misspelt setting is answered by what would be right."""
    with pytest.raises(ModelError, match=r"no model pack is called 'faceplugn'; there are faceplugin, "):
        pack_named("faceplugn")


def test_missing_and_wrong_files_are_told_apart(tmp_path: Path) -> None:
    """Verification names each fault, with both hashes where there are two."""
    pack = made_pack(
        FolderSource(hint="here"), model_file(name="a"), model_file(name="b"), model_file(name="c")
    )
    (tmp_path / "a").write_bytes(CONTENT)
    (tmp_path / "b").write_bytes(b"other")
    wrong, missing = verify(pack, tmp_path)
    assert str(missing) == "c is missing"
    assert str(wrong) == (
        f"b has sha256 {sha256(b'other').hexdigest()}, registered is {sha256(CONTENT).hexdigest()}"
    )
    with pytest.raises(ModelError, match=r"b has sha256 .* run `sightline models pull made`"):
        load_files(pack, tmp_path)


def test_a_download_is_whole_verified_and_reported(server: Server, tmp_path: Path) -> None:
    """The file lies in the cache under its name, no part is left, and progress ends at the size."""
    server.files["net.onnx"] = CONTENT
    told: list[tuple[str, int, int]] = []
    folder = pull(served_pack(server), tmp_path, progress=lambda *chunk: told.append(chunk))
    assert (folder / "net.onnx").read_bytes() == CONTENT
    assert not list(folder.glob(f"*{PART_SUFFIX}"))
    assert told[-1] == ("net.onnx", len(CONTENT), len(CONTENT))
    assert [so_far for _, so_far, _ in told] == sorted(so_far for _, so_far, _ in told)


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    """With a sound cache the network is not touched."""
    server.files["net.onnx"] = CONTENT
    pull(served_pack(server), tmp_path)
    pull(served_pack(server), tmp_path)
    assert len(server.ranges) == 1


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_broken_download_goes_on_where_it_broke(server: Server, tmp_path: Path, knows_ranges: bool) -> None:
    """The second attempt asks for the rest; a server that cannot continue is read from the start."""
    server.files["net.onnx"] = CONTENT
    server.knows_ranges = knows_ranges
    server.break_off_at = CUT_AT
    pack = served_pack(server)
    with pytest.raises(ModelError, match=rf"broke off at {CUT_AT} of {len(CONTENT)} bytes.*pull again"):
        pull(pack, tmp_path)
    assert not (pack_folder(pack, tmp_path) / "net.onnx").exists()
    server.break_off_at = None
    assert (pull(pack, tmp_path) / "net.onnx").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={CUT_AT}-"]


@pytest.mark.parametrize("offered", [bytes(len(CONTENT)), CONTENT + b"and more", bytes(3 * len(CONTENT))])
def test_a_wrong_file_is_refused_by_name_and_removed(server: Server, tmp_path: Path, offered: bytes) -> None:
    """Neither under its name nor as a part does it stay, and both hashes are in the message."""
    server.files["net.onnx"] = offered
    pack = served_pack(server)
    with pytest.raises(
        ModelError,
        match=rf"net.onnx from http.* has sha256 .*, registered is {pack.files[0].sha256}; .*removed",
    ):
        pull(pack, tmp_path)
    assert not list(pack_folder(pack, tmp_path).glob("net.onnx*"))


def test_a_spoilt_part_is_thrown_away_at_the_next_pull(server: Server, tmp_path: Path) -> None:
    """A part whose beginning is wrong fails its check once, and the pull after that is whole."""
    server.files["net.onnx"] = CONTENT
    pack = served_pack(server)
    folder = pack_folder(pack, tmp_path)
    folder.mkdir(parents=True)
    (folder / f"net.onnx{PART_SUFFIX}").write_bytes(bytes(CUT_AT))
    with pytest.raises(ModelError, match="it was removed"):
        pull(pack, tmp_path)
    assert (pull(pack, tmp_path) / "net.onnx").read_bytes() == CONTENT


def test_a_file_that_is_gone_names_the_way_round(server: Server, tmp_path: Path) -> None:
    """404 is not a stack trace: fetch it elsewhere, then --from."""
    with pytest.raises(ModelError, match=r"net.onnx answers 404 .*pass --from FOLDER"):
        pull(served_pack(server), tmp_path)


def test_an_unreachable_server_is_an_error_of_ours(tmp_path: Path) -> None:
    """No route, no name, no listener: one error type, which says that pulling again goes on."""
    source = UrlSource(urls={"net.onnx": "http://127.0.0.1:9/net.onnx"})
    with pytest.raises(ModelError, match=r"broke off at 0 of .* pull again"):
        pull(made_pack(source), tmp_path)


def test_a_wrong_file_in_the_cache_is_replaced(server: Server, tmp_path: Path) -> None:
    """A damaged disk is mended by pulling again; sound files beside it stay."""
    server.files["net.onnx"] = CONTENT
    pack = served_pack(server)
    folder = pull(pack, tmp_path)
    (folder / "net.onnx").write_bytes(b"damaged")
    pull(pack, tmp_path)
    assert verify(pack, folder) == ()


def test_files_are_taken_from_a_folder(tmp_path: Path) -> None:
    """`--from` serves every pack, whatever its own source is."""
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    for source in (FolderSource(hint="here"), UrlSource(urls={"net.onnx": "http://127.0.0.1:9/"})):
        cache = tmp_path / type(source).__name__
        assert (pull(made_pack(source), cache, from_folder=tmp_path) / "net.onnx").read_bytes() == CONTENT


def test_a_pack_of_the_operator_s_asks_for_its_folder(tmp_path: Path) -> None:
    """What cannot be downloaded says which files are needed, and the command to give them by."""
    with pytest.raises(ModelError, match=r"put net.onnx \(from a friend\) .*pull made --from FOLDER`"):
        pull(made_pack(FolderSource(hint="from a friend")), tmp_path)
    with pytest.raises(ModelError, match=r"no net.onnx in .*--from"):
        pull(made_pack(FolderSource(hint="from a friend")), tmp_path, from_folder=tmp_path)


def test_two_pulls_at_once_fetch_once(server: Server, tmp_path: Path) -> None:
    """Two workers that start together do not write into the same part."""
    server.files["net.onnx"] = CONTENT
    pack = served_pack(server)
    threads = [threading.Thread(target=pull, args=(pack, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(pack, pack_folder(pack, tmp_path)) == ()
    assert len(server.ranges) == 1


def test_the_default_pack_comes_from_its_registry(model_cache: Path) -> None:
    """`npm pack` of the real package: the three registered files, and nothing else of the archive."""
    pack = pack_named("faceplugin")
    folder = pack_folder(pack, model_cache)
    assert verify(pack, folder) == ()
    kept = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert kept == {file.name for file in pack.files}


def fake_npm(folder: Path, script: str) -> None:
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    npm.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'npm error code E404' >&2; exit 1", r"ended with code 1: npm error code E404.*registry"),
        ("exit 0", r"ended with code 0: it said nothing"),
        ("echo nonsense > faceplugin-1.0.3.tgz", r"cannot be put into|is no archive"),
    ],
)
def test_a_failing_npm_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    """What npm said last stands in the message, with what to do about it."""
    fake_npm(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ModelError, match=message):
        pull(pack_named("faceplugin"), tmp_path / "cache")


def test_without_an_npm_on_the_path_the_one_from_pypi_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel brings node and npm, and both files are there."""
    monkeypatch.setattr(model_pull, "shutil", SimpleNamespace(which=lambda _: None))
    command = npm_command()
    assert len(command) == 2
    assert all(Path(part).is_file() for part in command)


def test_an_archive_without_the_registered_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that was published anew with other contents does not get in."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "README").write_text("empty", encoding="utf-8")
    archive = shutil.make_archive(str(tmp_path / "archive"), "gztar", tmp_path, "package")
    fake_npm(tmp_path, f"cp '{archive}' ./faceplugin-1.0.3.tgz")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(ModelError, match=r"faceplugin 1.0.3 has no model/fr_detect.onnx"):
        pull(pack_named("faceplugin"), tmp_path / "cache")


def test_a_changed_hash_in_the_registry_refuses_the_old_file(model_cache: Path) -> None:
    """The registry decides, not the cache."""
    pack = pack_named("faceplugin")
    first, *rest = pack.files
    changed = replace(pack, files=(replace(first, sha256="f" * 64), *rest))
    (fault,) = verify(changed, pack_folder(pack, model_cache))
    assert fault.name == first.name
