"""Whatever arrives, an extractor answers with a feature or a reason."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.records import Feature
from stream.demo.people import Photo
from stream.features.encoders import load_encoder
from stream.features.extractor import EMBEDDING_CONTENT_TYPE, Extractor, Unusable
from stream.features.guards import UNDECLARED, ImageFormat, ImageLimits
from stream.features.image import ImageExtractor
from stream.features.models import pack_folder, pack_named
from stream.features.networks import Backend
from stream.features.text import TextExtractor
from tests.image_factories import encoded, jpeg, lossless_webp, png, webp

TEXT_EXTRACTOR = TextExtractor()
CONTENT_TYPES = st.sampled_from([*ImageFormat, UNDECLARED, EMBEDDING_CONTENT_TYPE, "text/plain", "", "a;b"])
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def images(model_cache: Path) -> ImageExtractor:
    pack = pack_named("faceplugin")
    encoder = load_encoder(pack, pack_folder(pack, model_cache), Backend.ONNXRUNTIME)
    return ImageExtractor(encoder=encoder, limits=ImageLimits(max_bytes=1 << 20, max_pixels=1 << 20))


@pytest.fixture(scope="module")
def seeds(photos: Sequence[Photo]) -> list[bytes]:
    from stream.features.cv import cv2

    photo = photos[0].read()
    small = cv2.resize(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), (96, 96))
    as_png = encoded(".png", small)
    as_webp = encoded(".webp", small)
    progressive = encoded(".jpg", small, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    return [photo, as_png, as_webp, progressive, jpeg(), png(), webp(), lossless_webp()]


def assert_answers(extractor: Extractor, content_type: str, data: bytes) -> None:
    found = extractor.extract(content_type, data)
    if isinstance(found, Unusable):
        assert found.detail
        return
    assert isinstance(found, Feature)
    assert found.vector.shape == (extractor.dimension,)
    assert np.linalg.norm(found.vector) == pytest.approx(1.0, abs=1e-5)
    assert found.contract_id == extractor.contract_id


@FUZZ
@given(content_type=CONTENT_TYPES, data=st.binary(max_size=2000))
def test_random_bytes_get_an_answer(images: ImageExtractor, content_type: str, data: bytes) -> None:
    """Bytes without any structure."""
    assert_answers(images, content_type, data)
    assert_answers(TEXT_EXTRACTOR, content_type, data)


@FUZZ
@given(data=st.data())
def test_damaged_images_get_an_answer(
    images: ImageExtractor, seeds: list[bytes], data: st.DataObject
) -> None:
    """Sound images with bytes overwritten, removed or inserted, where headers are and anywhere else."""
    image = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(1, 8))):
        limit = data.draw(st.sampled_from([64, 700, len(image)]))
        at = data.draw(st.integers(0, max(0, min(limit, len(image)) - 1)))
        match data.draw(st.sampled_from(["overwrite", "remove", "insert", "repeat"])):
            case "overwrite":
                image[at : at + 1] = data.draw(st.binary(min_size=1, max_size=4))
            case "remove":
                del image[at : at + data.draw(st.integers(1, 64))]
            case "insert":
                image[at:at] = data.draw(st.binary(min_size=1, max_size=64))
            case "repeat":
                image[at:at] = image[at : at + data.draw(st.integers(1, 256))]
    assert_answers(images, UNDECLARED, bytes(image))


@FUZZ
@given(text=st.text(max_size=300))
def test_every_text_gets_an_answer(text: str) -> None:
    """Any string that UTF-8 can hold."""
    assert_answers(TEXT_EXTRACTOR, "text/plain", text.encode("utf-8", "surrogatepass"))


@FUZZ
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
        max_leaves=20,
    )
)
def test_every_json_gets_an_answer(value: object) -> None:
    """Any document where an embedding is expected, also with the fields of one."""
    import json

    extractor = TEXT_EXTRACTOR
    for document in (value, {"contract_id": extractor.contract_id, "vector": value, "quality": value}):
        assert_answers(extractor, EMBEDDING_CONTENT_TYPE, json.dumps(document).encode())
