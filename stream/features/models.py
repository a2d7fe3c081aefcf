"""The model packs: where each comes from, its hashes and licence, and what is not known about it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, ValidationError

from stream.features.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmSource:
    """A package of the npm registry, fetched by `npm pack`."""

    package: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlSource:
    """Files at public addresses."""

    urls: Mapping[str, str]
    """By file name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSource:
    """Files that the operator brings."""

    hint: str
    """Where they can be had."""


Source = NpmSource | UrlSource | FolderSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a pack."""

    name: str
    sha256: str
    size_bytes: int
    path_in_source: str = ""
    """Path inside an npm package; the file's own name when empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A set of networks that together make a vector of a photo."""

    name: str
    files: tuple[ModelFile, ...]
    source: Source
    licence: str
    provenance: str
    """What is known, and what is not, about who trained it on what."""
    dimension: int
    """D of its vectors."""
    variant_of: str | None = None
    """The registered pack of which it has the files' names, the networks' shapes and the recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFault:
    """A file of a pack that is not as the registry says."""

    name: str
    expected_sha256: str
    found_sha256: str | None
    """None: there is no such file."""

    def __str__(self) -> str:
        if self.found_sha256 is None:
            return f"{self.name} is missing"
        return f"{self.name} has sha256 {self.found_sha256}, registered is {self.expected_sha256}"


_YUNET = ModelFile(
    name="face_detection_yunet_2023mar.onnx",
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    size_bytes=232_589,
)
_ZOO_REVISION = "47534e27c9851bb1128ccc0102f1145e27f23f98"
_ZOO = f"https://media.githubusercontent.com/media/opencv/opencv_zoo/{_ZOO_REVISION}/models"

_PACKS = (
    Pack(
        name="faceplugin",
        files=(
            ModelFile(
                name="fr_detect.onnx",
                sha256="6c0256ccd3164f844736a401faf936ec2930764a87ae39442180887d0c5c8854",
                size_bytes=1_217_758,
                path_in_source="model/fr_detect.onnx",
            ),
            ModelFile(
                name="fr_landmark.onnx",
                sha256="f10b0ba1d2a8a099adefede1ebf3733e44fe370715e7303dbeb7f59c02142258",
                size_bytes=1_163_742,
                path_in_source="model/fr_landmark.onnx",
            ),
            ModelFile(
                name="fr_feature.onnx",
                sha256="87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
                size_bytes=4_884_269,
                path_in_source="model/fr_feature.onnx",
            ),
        ),
        source=NpmSource(package="faceplugin", version="1.0.3"),
        licence="MIT",
        provenance="Published under MIT; who trained the weights, and on which photos, is not documented.",
        dimension=512,
    ),
    Pack(
        name="mobilefacenet",
        files=(
            _YUNET,
            ModelFile(
                name="mobilefacenet_foamliu.onnx",
                sha256="b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507",
                size_bytes=3_998_070,
            ),
        ),
        source=FolderSource(hint="YuNet 2023mar from OpenCV Zoo and an ONNX export of foamliu/MobileFaceNet"),
        licence="Apache-2.0 (MobileFaceNet), MIT (YuNet)",
        provenance="foamliu/MobileFaceNet, trained on MS-Celeb-1M; YuNet, trained on WIDER FACE.",
        dimension=128,
    ),
    Pack(
        name="opencv-zoo",
        files=(
            _YUNET,
            ModelFile(
                name="face_recognition_sface_2021dec.onnx",
                sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
                size_bytes=38_696_353,
            ),
        ),
        source=UrlSource(
            urls=MappingProxyType(
                {
                    _YUNET.name: f"{_ZOO}/face_detection_yunet/{_YUNET.name}",
                    "face_recognition_sface_2021dec.onnx": (
                        f"{_ZOO}/face_recognition_sface/face_recognition_sface_2021dec.onnx"
                    ),
                }
            )
        ),
        licence="Apache-2.0 (SFace), MIT (YuNet)",
        provenance="OpenCV Zoo: SFace by Zhong et al. (2021); YuNet, trained on WIDER FACE.",
        dimension=128,
    ),
)

PACKS: Mapping[str, Pack] = MappingProxyType({pack.name: pack for pack in _PACKS})
"""Every registered pack by name."""
VARIANT_FILE = "pack.json"
_VARIANT_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def pack_named(name: str, cache_dir: Path | None = None) -> Pack:
    """The pack of this name: a registered one, or a variant that was made in this cache folder.

    Raises:
        ModelError: There is none, or what describes the variant cannot be read.
    """
    if name in PACKS:
        return PACKS[name]
    if cache_dir is not None and _VARIANT_NAME.fullmatch(name):
        description = cache_dir / "models" / name / VARIANT_FILE
        if description.is_file():
            return _variant(name, description)
    raise ModelError(f"no model pack is called {name!r}; there are {', '.join(PACKS)}")


def variants_in(cache_dir: Path) -> tuple[Pack, ...]:
    """The variants that were made in a cache folder.

    Raises:
        ModelError: What describes one cannot be read.
    """
    found = sorted((cache_dir / "models").glob(f"*/{VARIANT_FILE}"))
    return tuple(pack_named(path.parent.name, cache_dir) for path in found)


def describe_variant(pack: Pack) -> str:
    """The contents of a variant's `VARIANT_FILE`: `pack_named` makes the same pack of them."""
    if pack.variant_of is None:
        raise ModelError(f"{pack.name} is a registered pack, not a variant of one")
    form = _VariantForm(variant_of=pack.variant_of, provenance=pack.provenance, files=list(pack.files))
    return form.model_dump_json(indent=2) + "\n"


class _VariantForm(BaseModel):
    """What tells a variant from its base."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant_of: str
    provenance: str
    files: list[ModelFile]


def _variant(name: str, description: Path) -> Pack:
    try:
        form = _VariantForm.model_validate_json(description.read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelError(f"{description} describes no pack: {error}; quantise again") from error
    return replace(
        pack_named(form.variant_of),
        name=name,
        files=tuple(form.files),
        source=FolderSource(hint=f"made by `sightline models quantise {form.variant_of}`"),
        provenance=form.provenance,
        variant_of=form.variant_of,
    )


def pack_folder(pack: Pack, cache_dir: Path) -> Path:
    """Where a pack's files lie in a cache folder."""
    return cache_dir / "models" / pack.name


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(pack: Pack, folder: Path) -> tuple[FileFault, ...]:
    """The files of a pack that are missing or not the registered ones; empty when all is well."""
    return tuple(
        FileFault(name=file.name, expected_sha256=file.sha256, found_sha256=found)
        for file in pack.files
        if (found := sha256_of(path) if (path := folder / file.name).is_file() else None) != file.sha256
    )


def load_files(pack: Pack, folder: Path) -> Mapping[str, bytes]:
    """The verified contents of a pack's files by name; what was hashed is what is returned.

    Raises:
        ModelError: A file is missing or not the registered one.
    """
    contents = {}
    for file in pack.files:
        path = folder / file.name
        data = path.read_bytes() if path.is_file() else None
        found = None if data is None else hashlib.sha256(data).hexdigest()
        if data is None or found != file.sha256:
            fault = FileFault(name=file.name, expected_sha256=file.sha256, found_sha256=found)
            raise ModelError(f"{fault} in {folder}; run `sightline models pull {pack.name}`")
        contents[file.name] = data
    return contents
