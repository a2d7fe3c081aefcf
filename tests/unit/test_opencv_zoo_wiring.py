"""The OpenCV Zoo pack is put together as its encoder expects, shown on a made network of the same shapes.

Its weights are 39 MB at a public address; what can go wrong here is the wiring: the order of channels, the
scale, the names of inputs and outputs, the places of the five points.
"""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from index.records import Feature
from stream.features.cv import cv2
from stream.features.encoders import assemble, contract_of
from stream.features.faces import align
from stream.features.guards import UNDECLARED
from stream.features.image import ImageExtractor
from stream.features.models import pack_named
from stream.features.networks import Backend
from stream.local.model_pull import pull
from tests.image_factories import encoded

PACK = pack_named("opencv-zoo")
YUNET, SFACE = (file.name for file in PACK.files)
SAME = 0.99999


def made_encoder() -> bytes:
    """A network (1, 3, 112, 112) -> `fc1` (1, 128): means of the rows of each channel, weighted at random."""
    rows = 3 * 112
    rng = np.random.default_rng(20260)
    weights = rng.standard_normal((rows, 128)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["data"], ["rows"], axes=[3], keepdims=0),
            helper.make_node("Reshape", ["rows", "shape"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["fc1"]),
        ],
        "made",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("fc1", TensorProto.FLOAT, [1, 128])],
        [
            helper.make_tensor("shape", TensorProto.INT64, [2], [1, rows]),
            helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def yunet(shared: Path | None, tmp_path: Path) -> Path:
    """The pack's detector: the other pack has the same file."""
    if shared is None:
        pytest.skip("YuNet comes from ../shared, which is not there")
    return pull(pack_named("mobilefacenet"), tmp_path, from_folder=shared / "models") / YUNET


@pytest.mark.parametrize("backend", list(Backend))
def test_the_encoder_is_fed_as_opencv_feeds_it(
    yunet: Path, tmp_path: Path, photos: list, backend: Backend
) -> None:
    """The vector is that of `cv2.FaceRecognizerSF.feature` on the same aligned face."""
    model = made_encoder()
    path = tmp_path / SFACE
    path.write_bytes(model)
    encoder = assemble(PACK, {YUNET: yunet.read_bytes(), SFACE: model}, backend)
    image = cv2.imdecode(np.frombuffer(photos[0].read(), np.uint8), cv2.IMREAD_COLOR)
    found = ImageExtractor(encoder=encoder).extract(UNDECLARED, encoded(".png", image))
    assert isinstance(found, Feature)
    assert found.vector.shape == (PACK.dimension,)
    assert found.contract_id == contract_of(PACK)

    face = encoder.detect(image)[0]
    assert face.points is not None
    expected = cv2.FaceRecognizerSF.create(str(path), "").feature(align(image, face.points)).ravel()
    assert found.vector @ (expected / np.linalg.norm(expected)) > SAME
    assert found.quality == pytest.approx(float(np.linalg.norm(expected)), rel=1e-4)


def test_our_alignment_is_opencv_s(yunet: Path, tmp_path: Path, photos: list) -> None:
    """`FaceRecognizerSF.alignCrop` and ours put the same pixels in the same places."""
    path = tmp_path / SFACE
    path.write_bytes(made_encoder())
    recogniser = cv2.FaceRecognizerSF.create(str(path), "")
    encoder = assemble(PACK, {YUNET: yunet.read_bytes(), SFACE: made_encoder()}, Backend.ONNXRUNTIME)
    for photo in photos[:4]:
        image = cv2.imdecode(np.frombuffer(photo.read(), np.uint8), cv2.IMREAD_COLOR)
        face = encoder.detect(image)[0]
        assert face.points is not None
        row = np.array([[face.left, face.top, face.width, face.height, *face.points.ravel(), face.score]])
        theirs = recogniser.alignCrop(image, row.astype(np.float32)).astype(np.float64)
        ours = align(image, face.points).astype(np.float64)
        assert np.abs(ours - theirs).mean() < 2.0
