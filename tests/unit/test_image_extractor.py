"""Photos become vectors; everything else becomes a reason."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stream.features.image as image_module
from index.records import IMAGE, Feature
from stream.demo.people import Photo
from stream.features.cv import MAX_DECODED_PIXELS, cv2
from stream.features.encoders import contract_of, load_encoder
from stream.features.errors import FeatureError, ModelError
from stream.features.extractor import EMBEDDING_CONTENT_TYPE, Unusable
from stream.features.faces import ARCFACE_POINTS, CROP_PX, Face
from stream.features.graphs import without_prelu
from stream.features.guards import UNDECLARED, ImageLimits
from stream.features.image import WORKING_SIDE_PX, ImageExtractor
from stream.features.models import load_files, pack_folder, pack_named
from stream.features.networks import Backend, load_network
from stream.local.model_pull import pull
from stream.reasons import Reason
from tests.image_factories import claiming, encoded, jpeg, png_claiming, with_orientation

SAME_VECTOR = 0.9999
"""Cosine of what two backends, or two runs of one, make of the same photo."""
SAME_FACE = 0.95
"""Cosine of what is made of the same photo after it was turned, enlarged or stored in another way."""
SAME_FUNCTION = 1e-5
"""Largest difference of a component after a graph was rewritten; norms are about 4."""
NOISE = np.random.default_rng(20260).integers(0, 256, (200, 200, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def extractor(model_cache: Path) -> ImageExtractor:
    pack = pack_named("faceplugin")
    return ImageExtractor(encoder=load_encoder(pack, pack_folder(pack, model_cache), Backend.ONNXRUNTIME))


@pytest.fixture(scope="module")
def photo(photos: Sequence[Photo]) -> bytes:
    return photos[0].read()


def pixels(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def feature(extractor: ImageExtractor, data: bytes, content_type: str = UNDECLARED) -> Feature:
    found = extractor.extract(content_type, data)
    assert isinstance(found, Feature), found
    return found


def test_a_photo_becomes_a_unit_vector_of_its_contract(
    extractor: ImageExtractor, photos: Sequence[Photo]
) -> None:
    """Dimension, type, norm and contract are what the port promises, and quality is positive."""
    for photo in photos:
        found = feature(extractor, photo.read(), "image/jpeg")
        assert found.vector.shape == (extractor.dimension,) == (512,)
        assert found.vector.dtype == np.float32
        assert np.linalg.norm(found.vector) == pytest.approx(1.0, abs=1e-6)
        assert found.contract_id == extractor.contract_id
        assert found.quality is not None
        assert found.quality > 0


def test_different_people_are_far_apart(extractor: ImageExtractor, photos: Sequence[Photo]) -> None:
    """No two of two dozen people are as near to one another as a photo is to a copy of itself."""
    vectors = np.stack([feature(extractor, p.read()).vector for p in photos])
    similarity = vectors @ vectors.T - 2 * np.eye(len(vectors))
    assert similarity.max() < SAME_FACE


def test_the_same_bytes_give_the_same_vector_in_every_thread(
    extractor: ImageExtractor, photos: Sequence[Photo]
) -> None:
    """One extractor serves all threads, and none of them disturbs another: equal to the last bit."""
    contents = [p.read() for p in photos[:8]]
    alone = [feature(extractor, data).vector for data in contents]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda data: feature(extractor, data).vector, contents * 3))
    for expected, found in zip(alone * 3, together, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("content_type", "make", "expected"),
    [
        ("image/jpeg", lambda _: b"", Reason.EMPTY),
        ("image/jpeg", lambda photo: photo + bytes(4 << 20), Reason.TOO_LARGE),
        ("image/png", lambda photo: photo, Reason.WRONG_MAGIC_BYTES),
        ("image/jpeg", lambda _: b"hello, this is no photo", Reason.WRONG_MAGIC_BYTES),
        ("image/gif", lambda photo: photo, Reason.UNKNOWN_CONTENT_TYPE),
        ("application/json", lambda photo: photo, Reason.UNKNOWN_CONTENT_TYPE),
        ("image/jpeg", lambda photo: claiming(photo, 65_500, 65_500), Reason.IMAGE_BOMB),
        ("image/png", lambda _: png_claiming(50_000, 50_000), Reason.IMAGE_BOMB),
        ("image/jpeg", lambda photo: photo[: len(photo) // 2], Reason.UNDECODABLE_IMAGE),
        ("image/png", lambda _: png_claiming(64, 64), Reason.UNDECODABLE_IMAGE),
        ("image/jpeg", lambda _: jpeg(), Reason.NO_FACE),
        ("image/jpeg", lambda _: encoded(".jpg", NOISE), Reason.NO_FACE),
        ("image/jpeg", lambda _: jpeg(1, 1), Reason.NO_FACE),
        ("image/jpeg", lambda _: jpeg(3000, 2), Reason.NO_FACE),
        (EMBEDDING_CONTENT_TYPE, lambda photo: photo, Reason.BAD_JSON),
        (EMBEDDING_CONTENT_TYPE, lambda _: b"{}", Reason.BAD_JSON),
    ],
)
def test_every_bad_image_has_its_reason(
    extractor: ImageExtractor,
    photo: bytes,
    content_type: str,
    make: Callable[[bytes], bytes],
    expected: Reason,
) -> None:
    """Each kind of bad input becomes the value that names it."""
    found = extractor.extract(content_type, make(photo))
    assert isinstance(found, Unusable)
    assert found.reason is expected


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("image/jpeg", claiming(jpeg(), 65_500, 65_500)),
        ("image/png", png_claiming(50_000, 50_000)),
        ("image/jpeg", jpeg()[:200]),
        ("image/jpeg", bytes(5 << 20)),
        ("image/gif", jpeg()),
    ],
)
def test_what_the_guard_refuses_is_never_decoded(
    extractor: ImageExtractor, monkeypatch: pytest.MonkeyPatch, content_type: str, data: bytes
) -> None:
    """A bomb cannot take memory: no decoder ever sees it."""

    def decoder(*_: object) -> None:
        pytest.fail("the decoder was called")

    monkeypatch.setattr(image_module.cv2, "imdecode", decoder)
    assert isinstance(extractor.extract(content_type, data), Unusable)


def test_opencv_itself_refuses_what_the_settings_cannot_allow(model_cache: Path) -> None:
    """The bound stands in OpenCV too, and a setting over it is refused when the service starts."""
    with pytest.raises(cv2.error, match="pixels"):
        cv2.imdecode(np.frombuffer(png_claiming(20_000, 20_000), np.uint8), cv2.IMREAD_COLOR)
    pack = pack_named("faceplugin")
    encoder = load_encoder(pack, pack_folder(pack, model_cache), Backend.ONNXRUNTIME)
    with pytest.raises(FeatureError, match=f"max_pixels is {MAX_DECODED_PIXELS + 1}"):
        ImageExtractor(encoder=encoder, limits=ImageLimits(max_pixels=MAX_DECODED_PIXELS + 1))


@pytest.mark.parametrize(
    ("orientation", "as_stored"),
    [
        (3, lambda upright: cv2.rotate(upright, cv2.ROTATE_180)),
        (6, lambda upright: cv2.rotate(upright, cv2.ROTATE_90_COUNTERCLOCKWISE)),
        (8, lambda upright: cv2.rotate(upright, cv2.ROTATE_90_CLOCKWISE)),
    ],
)
def test_a_photo_is_turned_upright_by_its_orientation(
    extractor: ImageExtractor, photo: bytes, orientation: int, as_stored: Callable[[np.ndarray], np.ndarray]
) -> None:
    """A camera held sideways stores a lying picture and a tag; the vector is that of the standing one."""
    stored = encoded(".jpg", as_stored(pixels(photo)), cv2.IMWRITE_JPEG_QUALITY, 98)
    turned = feature(extractor, with_orientation(stored, orientation))
    assert turned.vector @ feature(extractor, photo).vector > SAME_FACE


@pytest.mark.parametrize(
    "stored",
    [
        lambda image: encoded(".png", image),
        lambda image: encoded(".png", image.astype(np.uint16) * 257),
        lambda image: encoded(".png", cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)),
        lambda image: encoded(".webp", image, cv2.IMWRITE_WEBP_QUALITY, 101),
    ],
    ids=["8-bit PNG", "16-bit PNG", "PNG with alpha", "lossless WebP"],
)
def test_how_a_photo_is_stored_does_not_matter(
    extractor: ImageExtractor, photo: bytes, stored: Callable[[np.ndarray], bytes]
) -> None:
    """Lossless storage of the same pixels gives the same vector."""
    same = feature(extractor, stored(pixels(photo)))
    assert same.vector @ feature(extractor, photo).vector > SAME_VECTOR


def test_a_grey_photo_has_a_face_too(extractor: ImageExtractor, photo: bytes) -> None:
    """One channel is read as three equal ones."""
    plain = cv2.cvtColor(pixels(photo), cv2.COLOR_BGR2GRAY)
    one_channel = feature(extractor, encoded(".png", plain))
    three = feature(extractor, encoded(".png", cv2.cvtColor(plain, cv2.COLOR_GRAY2BGR)))
    np.testing.assert_array_equal(one_channel.vector, three.vector)


@pytest.mark.parametrize("times", [4, 12])
def test_a_large_photo_gives_the_vector_of_a_small_one(
    extractor: ImageExtractor, photo: bytes, times: int
) -> None:
    """Pixels beyond what the encoder sees change nothing, neither in alignment nor by reduced decoding."""
    small = pixels(photo)
    large = cv2.resize(small, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    assert times == 4 or large.shape[0] // 2 >= WORKING_SIDE_PX
    data = encoded(".jpg", large, cv2.IMWRITE_JPEG_QUALITY, 95)
    assert feature(extractor, data).vector @ feature(extractor, photo).vector > SAME_FACE


def test_a_tall_photo_shows_the_same_face(extractor: ImageExtractor, photo: bytes) -> None:
    """Proportions are kept: room above and below a face does not squeeze it."""
    tall = cv2.copyMakeBorder(pixels(photo), 97, 97, 0, 0, cv2.BORDER_REPLICATE)
    data = encoded(".png", tall)
    assert feature(extractor, data).vector @ feature(extractor, photo).vector > SAME_FACE


def side_by_side(first: bytes, second: bytes) -> bytes:
    left, right = (cv2.resize(pixels(data), (250, 250)) for data in (first, second))
    return encoded(".png", np.hstack([left, right]))


def test_enrolment_wants_one_person_and_a_probe_takes_the_most_prominent(
    extractor: ImageExtractor, photos: Sequence[Photo]
) -> None:
    """Two faces alike in size and place leave open whose photo it is; a search may still ask."""
    both = side_by_side(photos[0].read(), photos[1].read())
    found = replace(extractor, one_face=True).extract("image/png", both)
    assert isinstance(found, Unusable)
    assert found.reason is Reason.SEVERAL_FACES
    assert isinstance(extractor.extract("image/png", both), Feature)


def test_a_small_face_in_the_background_is_no_rival(
    extractor: ImageExtractor, photos: Sequence[Photo]
) -> None:
    """Whoever stands far behind does not spoil an enrolment, and is not taken for the subject."""
    scene = cv2.copyMakeBorder(pixels(photos[0].read()), 0, 0, 0, 110, cv2.BORDER_REPLICATE)
    passer_by = cv2.resize(pixels(photos[1].read()), (100, 100), interpolation=cv2.INTER_AREA)
    scene[:100, -100:] = passer_by
    found = replace(extractor, one_face=True).extract("image/png", encoded(".png", scene))
    assert isinstance(found, Feature)
    assert found.vector @ feature(extractor, photos[0].read()).vector > SAME_FACE


def test_the_backends_make_the_same_vectors(
    extractor: ImageExtractor, model_cache: Path, photos: Sequence[Photo]
) -> None:
    """ONNX Runtime and OpenCV's DNN are one encoder: the contract id does not name the backend."""
    pack = pack_named("faceplugin")
    other = ImageExtractor(encoder=load_encoder(pack, pack_folder(pack, model_cache), Backend.OPENCV))
    assert other.contract_id == extractor.contract_id
    for photo in photos[:8]:
        data = photo.read()
        ours, theirs = feature(extractor, data), feature(other, data)
        assert ours.vector @ theirs.vector > SAME_VECTOR
        assert ours.quality == pytest.approx(theirs.quality, rel=1e-3)


def test_opencv_nets_are_not_shared_between_threads(model_cache: Path, photos: Sequence[Photo]) -> None:
    """`cv2.dnn.Net` is not thread-safe; with one a thread, four threads agree with one to the last bit."""
    pack = pack_named("faceplugin")
    extractor = ImageExtractor(encoder=load_encoder(pack, pack_folder(pack, model_cache), Backend.OPENCV))
    contents = [p.read() for p in photos[:6]]
    alone = [feature(extractor, data).vector for data in contents]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda data: feature(extractor, data).vector, contents * 2))
    for expected, found in zip(alone * 2, together, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("backend", list(Backend))
def test_mobilefacenet_finds_and_tells_people_apart(
    shared: Path | None, tmp_path: Path, photos: Sequence[Photo], backend: Backend
) -> None:
    """YuNet's own post-processing and the second encoder work on both backends."""
    if shared is None:
        pytest.skip("the files of this pack come from ../shared, which is not there")
    pack = pack_named("mobilefacenet")
    folder = pull(pack, tmp_path, from_folder=shared / "models")
    extractor = ImageExtractor(encoder=load_encoder(pack, folder, backend))
    reference = ImageExtractor(encoder=load_encoder(pack, folder, Backend.ONNXRUNTIME))
    vectors = np.stack([feature(extractor, p.read()).vector for p in photos])
    assert vectors.shape[1] == extractor.dimension == 128
    assert (vectors @ vectors.T - 2 * np.eye(len(vectors))).max() < SAME_FACE
    same = [float(v @ feature(reference, p.read()).vector) for v, p in zip(vectors, photos, strict=True)]
    assert min(same) > SAME_VECTOR


def test_yunet_as_we_decode_it_is_yunet_as_opencv_decodes_it(
    shared: Path | None, tmp_path: Path, photos: Sequence[Photo]
) -> None:
    """Boxes and points are those of `cv2.FaceDetectorYN` on the same pixels, to a tenth of a pixel."""
    if shared is None:
        pytest.skip("the files of this pack come from ../shared, which is not there")
    pack = pack_named("mobilefacenet")
    folder = pull(pack, tmp_path, from_folder=shared / "models")
    ours = load_encoder(pack, folder, Backend.ONNXRUNTIME).detect
    theirs = cv2.FaceDetectorYN.create(str(folder / pack.files[0].name), "", (250, 250), 0.6, 0.3)
    for photo in photos[:8]:
        image = pixels(photo.read())
        theirs.setInputSize((image.shape[1], image.shape[0]))
        expected = theirs.detect(image)[1]
        found = ours(image)
        assert len(found) == len(expected)
        for face, row in zip(found, expected, strict=True):
            assert face.points is not None
            box = [face.left, face.top, face.width, face.height]
            np.testing.assert_allclose([*box, *face.points.ravel()], row[:14], atol=0.1)


def test_the_rewritten_embedder_is_the_same_function(model_cache: Path) -> None:
    """a·x + relu((1 − a)·x) is PReLU, and slopes over 1 are kept: the largest difference is rounding."""
    pack = pack_named("faceplugin")
    original = load_files(pack, pack_folder(pack, model_cache))["fr_feature.onnx"]
    rewritten = without_prelu(original)
    assert b"PRelu" in original
    assert b"PRelu" not in rewritten
    networks = [load_network(data, ("output",), Backend.ONNXRUNTIME) for data in (original, rewritten)]
    rng = np.random.default_rng(20260)
    for _ in range(4):
        blob = rng.standard_normal((1, 3, 112, 112)).astype(np.float32)
        (before,), (after,) = (network(blob) for network in networks)
        np.testing.assert_allclose(after, before, rtol=0, atol=SAME_FUNCTION)


def test_the_contract_names_pack_and_dimension_and_changes_with_any_file() -> None:
    """Two contracts are equal only if the same files were used in the same way."""
    pack = pack_named("faceplugin")
    contract = contract_of(pack)
    assert contract.startswith("faceplugin-512-")
    first, *rest = pack.files
    assert contract_of(replace(pack, files=(replace(first, sha256="0" * 64), *rest))) != contract
    assert contract_of(pack_named("mobilefacenet")) != contract


def test_with_its_mirror_image_a_face_looks_the_same_either_way(model_cache: Path, photo: bytes) -> None:
    """The mean of both runs knows no left and right."""
    pack = pack_named("faceplugin")
    plain = load_encoder(pack, pack_folder(pack, model_cache), Backend.ONNXRUNTIME)
    upright = cv2.resize(pixels(photo), (CROP_PX, CROP_PX))
    face = Face(left=0, top=0, width=CROP_PX, height=CROP_PX, score=1.0)
    where_they_belong = replace(plain, landmark=lambda _image, _face: ARCFACE_POINTS)
    both = replace(where_they_belong, mirror=True)
    turned = np.ascontiguousarray(upright[:, ::-1])
    one, other, mean = (
        e.embed(i, face)
        for e, i in ((where_they_belong, upright), (where_they_belong, turned), (both, upright))
    )
    assert one is not None
    assert other is not None
    assert not np.allclose(one, other, atol=1e-3)
    np.testing.assert_allclose(mean, (one + other) / 2, atol=SAME_FUNCTION)
    np.testing.assert_allclose(both.embed(turned, face), mean, atol=SAME_FUNCTION)


def test_vectors_with_and_without_the_mirror_image_have_two_contracts(model_cache: Path) -> None:
    """They must never meet in one search; without it the contract is what it was."""
    pack = pack_named("faceplugin")
    plain, mirror = (
        load_encoder(pack, pack_folder(pack, model_cache), Backend.ONNXRUNTIME, mirror=m)
        for m in (False, True)
    )
    assert plain.contract_id == contract_of(pack) != mirror.contract_id
    assert mirror.contract_id == contract_of(pack, mirror=True)
    assert mirror.mirror


@pytest.mark.parametrize("backend", list(Backend))
@pytest.mark.parametrize("data", [b"", b"not a model", bytes(1000)])
def test_what_is_no_model_is_refused_at_loading(backend: Backend, data: bytes) -> None:
    """A damaged file is an error of the installation, and it is found before the first photo."""
    with pytest.raises(ModelError, match=r"cannot load the model|has no output"):
        load_network(data, ("output",), backend)


def test_the_extractor_says_what_it_takes(extractor: ImageExtractor) -> None:
    """The port's own description: modality, media types, and the one for records that do not say."""
    assert extractor.modality == IMAGE
    assert {"image/jpeg", "image/png", "image/webp", EMBEDDING_CONTENT_TYPE} <= extractor.content_types
    assert extractor.default_content_type in extractor.content_types
