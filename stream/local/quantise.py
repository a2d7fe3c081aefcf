"""Makes the int8 variant of a pack: its embedder with 8-bit weights and activations.

Static quantisation by ONNX Runtime's own tool: the range of each activation is the least and the greatest
value that it took on aligned faces of the operator's photos. The detector stays as it is.
"""

import hashlib
import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stream.features.encoders import FaceEncoder, assemble
from stream.features.errors import ModelError
from stream.features.extractor import Unusable
from stream.features.faces import align, by_prominence
from stream.features.guards import UNDECLARED, ImageLimits, inspect_image
from stream.features.image import decode
from stream.features.models import (
    VARIANT_FILE,
    FolderSource,
    ModelFile,
    Pack,
    describe_variant,
    load_files,
    pack_folder,
)
from stream.features.networks import Backend, FloatArray, load_network, to_blob

SUFFIX = "-int8"
EMBEDDERS = {"mobilefacenet": ("mobilefacenet_foamliu.onnx", "output0")}
"""The embedder's file and output, of the packs that gain by it. The one of `faceplugin` does not: its slopes,
one a channel, have no 8-bit kernel (docs/decisions/0006)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """A variant that was made, and how near it came."""

    pack: Pack
    faces: int
    """On which the ranges were measured."""
    checked: int
    """Other faces, on which the vectors were compared."""
    cosine_mean: float
    """Between the vectors of the pack and of its variant."""
    cosine_least: float
    cpu_ratio: float
    """CPU time of the variant's embedder over that of the pack's, measured in turns."""


def quantise(base: Pack, cache_dir: Path, photos: Sequence[Path], *, faces: int) -> Quantised:
    """Makes `<base>-int8` in the cache folder.

    Args:
        base: A registered pack whose files are there.
        cache_dir: Holds `models/<pack>/`.
        photos: Of faces, in any order; the first of them give the ranges, the rest checks the vectors.
        faces: How many give the ranges; half as many more check.

    Raises:
        ModelError: The pack gains nothing by it, its files are missing, or too few photos show a face.
    """
    if base.name not in EMBEDDERS:
        raise ModelError(f"{base.name} gains nothing from int8; {', '.join(EMBEDDERS)} does")
    name, output = EMBEDDERS[base.name]
    contents = load_files(base, pack_folder(base, cache_dir))
    encoder = assemble(base, contents, Backend.ONNXRUNTIME)
    crops = list(_aligned(encoder, photos, faces + faces // 2))
    ranging, checking = crops[:faces], crops[faces:]
    if not checking:
        raise ModelError(
            f"{len(crops)} of {len(photos)} photos show a face; {faces} are to give the ranges and some more "
            "to check the vectors: bring more, or ask for fewer by --faces"
        )
    small = _to_int8(contents[name], ranging)
    pack = _variant_of(base, name, small, len(ranging))
    _write(pack, pack_folder(pack, cache_dir), {**contents, name: small})
    network = load_network(small, (output,), Backend.ONNXRUNTIME)
    cosines, ratio = _compared(encoder, replace(encoder, network=network), checking)
    return Quantised(
        pack=pack,
        faces=len(ranging),
        checked=len(checking),
        cosine_mean=float(cosines.mean()),
        cosine_least=float(cosines.min()),
        cpu_ratio=ratio,
    )


def _aligned(encoder: FaceEncoder, photos: Sequence[Path], wanted: int) -> Iterator[FloatArray]:
    """The embedder's inputs, (1, 3, 112, 112) each, of photos that show a face, until enough are found."""
    found = 0
    for path in photos:
        data = path.read_bytes()
        header = inspect_image(UNDECLARED, data, ImageLimits())
        image = header if isinstance(header, Unusable) else decode(data, header)
        if isinstance(image, Unusable):
            continue
        faces = by_prominence(encoder.detect(image), image)
        points = encoder.landmark(image, faces[0]) if faces else None
        if points is None:
            continue
        yield to_blob(align(image, points), mean=encoder.mean, std=encoder.std)
        found += 1
        if found == wanted:
            return


def _to_int8(onnx_bytes: bytes, inputs: Sequence[FloatArray]) -> bytes:
    import onnx  # late, as its neighbours: they take a second
    from onnxruntime import quantization

    import stream.features.ort  # noqa: F401  # before the next line loads it

    model = onnx.load_from_string(onnx_bytes)
    weights = {i.name for i in model.graph.initializer}
    (name,) = (i.name for i in model.graph.input if i.name not in weights)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc] # it has no types
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, FloatArray] | None:
            blob = next(self._left, None)
            return None if blob is None else {name: blob}

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "int8.onnx"
        logging.disable(logging.WARNING)  # advice to run a preprocessing that changes nothing here
        try:
            quantization.quantize_static(
                model,
                made,
                Reader(),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        finally:
            logging.disable(logging.NOTSET)
        return made.read_bytes()


def _variant_of(base: Pack, name: str, content: bytes, faces: int) -> Pack:
    changed = ModelFile(
        name=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content), path_in_source=""
    )
    return replace(
        base,
        name=f"{base.name}{SUFFIX}",
        files=tuple(changed if file.name == name else file for file in base.files),
        source=FolderSource(hint=f"made by `sightline models quantise {base.name}`"),
        provenance=f"{base.provenance} Embedder quantised to int8 on {faces} photos of the operator.",
        variant_of=base.name,
    )


def _write(pack: Pack, folder: Path, contents: dict[str, bytes]) -> None:
    """The description comes last: without it there is no such pack."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VARIANT_FILE).unlink(missing_ok=True)
    for file in pack.files:
        (folder / file.name).write_bytes(contents[file.name])
    part = folder / f"{VARIANT_FILE}.part"
    part.write_text(describe_variant(pack), encoding="utf-8")
    part.replace(folder / VARIANT_FILE)


def _compared(one: FaceEncoder, other: FaceEncoder, blobs: Sequence[FloatArray]) -> tuple[FloatArray, float]:
    """(B,) cosines of the two vectors of each, and the median ratio of the second's CPU time."""
    cosines, ratios = [], []
    for blob in blobs:
        (a,), first_ns = _timed(one, blob)
        (b,), second_ns = _timed(other, blob)
        cosines.append(float(np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))))
        ratios.append(second_ns / first_ns)
    return np.array(cosines, dtype=np.float32), float(np.median(ratios))


def _timed(encoder: FaceEncoder, blob: FloatArray) -> tuple[tuple[FloatArray, ...], int]:
    started = time.process_time_ns()
    outputs = encoder.network(blob)
    return outputs, max(1, time.process_time_ns() - started)
