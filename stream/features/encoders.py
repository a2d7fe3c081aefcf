"""Face encoders: each pack's networks, put together the way its weights were trained to be used."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from index.records import ContractId
from stream.features.detectors import (
    SLIM_OUTPUTS,
    YUNET_OUTPUTS,
    Detector,
    GreyLandmarker,
    Landmarker,
    SlimDetector,
    YuNetDetector,
    detector_points,
)
from stream.features.errors import ModelError
from stream.features.faces import Face, align, by_prominence, relit
from stream.features.graphs import up_to, with_any_input_size, without_prelu
from stream.features.models import Pack, load_files
from stream.features.networks import Backend, BgrImage, FloatArray, Network, load_network, to_blob

RELIT_SIDES_PX = (160,)
"""Shrunk so far, noise averages out: as many portraits are found as with 320 pixels, at a quarter of the
cost, and less where nobody is. Small faces in large dark photos stay unseen."""

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""Of RGB in 0..255."""

PREPROCESSING = "1"
"""Counts up with every change that moves vectors: decoding, detection, choice of face, alignment, scaling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceEncoder:
    """Image to faces, and face to embedding. Safe to use from several threads."""

    detect: Detector
    detect_relit: Detector
    """For the second look at a dark photo."""
    landmark: Landmarker
    network: Network
    mean: tuple[float, ...]
    """Of RGB in 0..255, subtracted from the aligned face before it is divided by `std`."""
    std: tuple[float, ...]
    contract_id: ContractId
    dimension: int
    mirror: bool = False
    """Whether a face and its mirror image are embedded and averaged, at the price of a second run."""

    def find(self, image: BgrImage) -> tuple[list[Face], BgrImage]:
        """The faces, the one that is meant first, and the pixels to embed them from.

        A dark photo that shows none is looked at once more, `relit`. A photo that shows one is never touched.
        """
        faces = by_prominence(self.detect(image), image)
        if faces or (light := relit(image)) is None:
            return faces, image
        return by_prominence(self.detect_relit(light), light), light

    def embed(self, image: BgrImage, face: Face) -> FloatArray | None:
        """(D,) float32, its norm as the network gives it; None where the face has no pixels in the image."""
        points = self.landmark(image, face)
        if points is None or not np.isfinite(points).all():
            return None
        face_px = align(image, points)
        if not self.mirror:
            return self._embedding(face_px)
        # The points that faces are aligned to are nearly symmetric: a mirrored crop is as well aligned.
        mirrored: FloatArray = (self._embedding(face_px) + self._embedding(face_px[:, ::-1])) / np.float32(2)
        return mirrored

    def _embedding(self, face_px: BgrImage) -> FloatArray:
        (embedding,) = self.network(to_blob(face_px, mean=self.mean, std=self.std))
        return embedding.reshape(self.dimension)


def contract_of(pack: Pack, *, mirror: bool = False) -> ContractId:
    """`<pack>-<D>-<8 hex>`: the same for everything that moves no vector, such as the backend."""
    parts = [pack.name, PREPROCESSING, *(file.sha256 for file in pack.files), *(["mirror"] if mirror else [])]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
    return ContractId(f"{pack.name}-{pack.dimension}-{digest}")


def load_encoder(pack: Pack, folder: Path, backend: Backend, *, mirror: bool = False) -> FaceEncoder:
    """The encoder of a pack whose files lie in a folder; `mirror` as in `FaceEncoder`.

    Raises:
        ModelError: A file is missing or not the registered one, or the backend cannot load it.
    """
    encoder = assemble(pack, load_files(pack, folder), backend)
    return replace(encoder, mirror=mirror, contract_id=contract_of(pack, mirror=mirror))


def assemble(pack: Pack, files: Mapping[str, bytes], backend: Backend) -> FaceEncoder:
    """The encoder of a pack from the contents of its files.

    Raises:
        ModelError: The pack has no recipe here, or the backend cannot load a file.
    """
    recipe = _RECIPES.get(pack.variant_of or pack.name)
    if recipe is None:
        raise ModelError(f"pack {pack.name!r} has no recipe; those that have are {', '.join(_RECIPES)}")
    return recipe(pack, files, backend)


def _faceplugin(pack: Pack, files: Mapping[str, bytes], backend: Backend) -> FaceEncoder:
    heads = with_any_input_size(up_to(files["fr_detect.onnx"], SLIM_OUTPUTS))
    detector = SlimDetector(network=load_network(heads, tuple(SLIM_OUTPUTS), backend))
    landmarker = load_network(files["fr_landmark.onnx"], ("output",), backend)
    # Only ONNX Runtime's PReLU is slow.
    rewrite = without_prelu if backend is Backend.ONNXRUNTIME else bytes
    return FaceEncoder(
        detect=detector,
        detect_relit=replace(detector, sides_px=RELIT_SIDES_PX),
        landmark=GreyLandmarker(network=landmarker),
        network=load_network(rewrite(files["fr_feature.onnx"]), ("output",), backend),
        mean=(127.0,) * 3,
        std=(128.0,) * 3,
        contract_id=contract_of(pack),
        dimension=pack.dimension,
    )


def _yunet(files: Mapping[str, bytes], backend: Backend) -> YuNetDetector:
    graph = with_any_input_size(files["face_detection_yunet_2023mar.onnx"])
    return YuNetDetector(network=load_network(graph, YUNET_OUTPUTS, backend))


def _mobilefacenet(pack: Pack, files: Mapping[str, bytes], backend: Backend) -> FaceEncoder:
    detector = _yunet(files, backend)
    return FaceEncoder(
        detect=detector,
        detect_relit=replace(detector, sides_px=RELIT_SIDES_PX),
        landmark=detector_points,
        network=load_network(files["mobilefacenet_foamliu.onnx"], ("output0",), backend),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        contract_id=contract_of(pack),
        dimension=pack.dimension,
    )


def _opencv_zoo(pack: Pack, files: Mapping[str, bytes], backend: Backend) -> FaceEncoder:
    detector = _yunet(files, backend)
    # As `cv2.FaceRecognizerSF` does it: RGB in 0..255 without mean or scale, output `fc1`.
    return FaceEncoder(
        detect=detector,
        detect_relit=replace(detector, sides_px=RELIT_SIDES_PX),
        landmark=detector_points,
        network=load_network(files["face_recognition_sface_2021dec.onnx"], ("fc1",), backend),
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        contract_id=contract_of(pack),
        dimension=pack.dimension,
    )


_RECIPES: Mapping[str, Callable[[Pack, Mapping[str, bytes], Backend], FaceEncoder]] = {
    "faceplugin": _faceplugin,
    "mobilefacenet": _mobilefacenet,
    "opencv-zoo": _opencv_zoo,
}
