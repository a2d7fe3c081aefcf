"""The int8 variant of a pack is a pack: verified, with a contract of its own, and near to its base."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from index.records import IMAGE, Feature
from stream.cli.models import app
from stream.demo.people import Photo
from stream.features.encoders import contract_of
from stream.features.errors import ModelError
from stream.features.models import VARIANT_FILE, describe_variant, pack_folder, pack_named, verify
from stream.features.registry import ExtractorConfig, build_extractors
from stream.local.model_pull import pull

RUNNER = CliRunner()
NEAR = 0.97
NAME = "mobilefacenet-int8"


@pytest.fixture
def cache(shared: Path | None, no_environment: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    if shared is None:
        pytest.skip("the files of this pack come from ../shared, which is not there")
    monkeypatch.setenv("SIGHTLINE_CACHE_DIR", str(tmp_path))
    pull(pack_named("mobilefacenet"), tmp_path, from_folder=shared / "models")
    return tmp_path


def folder_of(photos: Sequence[Photo], folder: Path) -> Path:
    folder.mkdir()
    for n, photo in enumerate(photos):
        (folder / f"{n}.jpg").write_bytes(photo.read())
    return folder


def test_a_quantised_pack_is_used_like_any_other(
    cache: Path, tmp_path: Path, photos: Sequence[Photo]
) -> None:
    """Its files verify, its contract is its own, and its vectors are near to those of its base."""
    images = folder_of([*photos, *photos], tmp_path / "photos")
    done = RUNNER.invoke(app, ["quantise", "--images", str(images), "--faces", "32", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["name"], said["faces"], said["checked"]) == (NAME, 32, 16)
    assert said["cosine_least"] > NEAR

    pack, base = pack_named(NAME, cache), pack_named("mobilefacenet")
    assert verify(pack, pack_folder(pack, cache)) == ()
    assert contract_of(pack) == said["contract_id"] != contract_of(base)
    assert contract_of(pack).startswith("mobilefacenet-int8-128-")
    assert (cache / "models" / NAME / VARIANT_FILE).read_text() == describe_variant(pack)
    assert "32 photos" in pack.provenance
    listed = json.loads(RUNNER.invoke(app, ["list", "--json"]).stdout)
    assert {row["name"]: row["complete"] for row in listed}[NAME]
    of_pack = {
        name: build_extractors([IMAGE], ExtractorConfig(cache_dir=cache, pack=name))[IMAGE]
        for name in (pack.name, base.name)
    }
    for photo in photos[:4]:
        features = [extractor.extract("image/jpeg", photo.read()) for extractor in of_pack.values()]
        vectors = [f.vector for f in features if isinstance(f, Feature)]
        assert NEAR < float(vectors[0] @ vectors[1]) < 1 - 1e-4

    embedder = cache / "models" / NAME / "mobilefacenet_foamliu.onnx"
    embedder.write_bytes(embedder.read_bytes() + b"x")
    assert [fault.name for fault in verify(pack, pack_folder(pack, cache))] == [embedder.name]


def test_too_few_faces_are_refused(cache: Path, tmp_path: Path, photos: Sequence[Photo]) -> None:
    """Exit code 1, and how many there were."""
    images = folder_of(photos[:3], tmp_path / "photos")
    (images / "no photo.jpg").write_bytes(b"nothing")
    done = RUNNER.invoke(app, ["quantise", "--images", str(images), "--faces", "32"])
    assert done.exit_code == 1
    assert "3 of 4 photos show a face; 32 are to give the ranges" in " ".join(done.stderr.split())
    with pytest.raises(ModelError, match="no model pack is called 'mobilefacenet-int8'"):
        pack_named(NAME, cache)


def test_a_pack_that_gains_nothing_is_refused(cache: Path) -> None:
    """The message names those that do."""
    done = RUNNER.invoke(app, ["quantise", "faceplugin", "--images", str(cache)])
    assert done.exit_code == 1
    assert "faceplugin gains nothing from int8; mobilefacenet does" in done.stderr


@pytest.mark.parametrize("content", ["", "{}", '{"variant_of": "nobody", "provenance": "", "files": []}'])
def test_a_spoilt_description_is_refused(tmp_path: Path, content: str) -> None:
    """It is an error of the installation, not a stack trace."""
    folder = tmp_path / "models" / NAME
    folder.mkdir(parents=True)
    (folder / VARIANT_FILE).write_text(content)
    with pytest.raises(ModelError, match=r"describes no pack|no model pack is called 'nobody'"):
        pack_named(NAME, tmp_path)


@pytest.mark.parametrize("name", ["../faceplugin", "a/b", "", ".", "Face"])
def test_a_name_never_leaves_the_cache_folder(tmp_path: Path, name: str) -> None:
    """Only lower-case words joined by hyphens are looked for."""
    for place in (tmp_path / "models" / name, tmp_path / "models"):
        place.mkdir(parents=True, exist_ok=True)
        (place / VARIANT_FILE).write_text("{}")
    with pytest.raises(ModelError, match="no model pack is called"):
        pack_named(name, tmp_path)
