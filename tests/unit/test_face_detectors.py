"""Detectors find small faces in large photos, and read their networks as these were meant to be read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.demo.people import Photo
from stream.evaluation.degrade import Box, Degradation, Strength, degrade
from stream.evaluation.scenes import in_scene
from stream.features.cv import cv2
from stream.features.detectors import SlimDetector, YuNetDetector
from stream.features.encoders import FaceEncoder, load_encoder
from stream.features.faces import Face, relit
from stream.features.models import load_files, pack_folder, pack_named
from stream.features.networks import Backend, BgrImage, load_network, to_blob
from stream.local.model_pull import pull

SAME_BOX_PX = 0.05
DIFFERENT_PHOTOS = 6


@pytest.fixture(scope="module", params=["faceplugin", "mobilefacenet"])
def encoder(
    request: pytest.FixtureRequest,
    model_cache: Path,
    shared: Path | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> FaceEncoder:
    """The packs whose detectors differ."""
    pack = pack_named(request.param)
    folder = pack_folder(pack, model_cache)
    if pack.name == "mobilefacenet":
        if shared is None:
            pytest.skip("the files of this pack come from ../shared, which is not there")
        folder = pull(pack, tmp_path_factory.mktemp("cache"), from_folder=shared / "models")
    return load_encoder(pack, folder, Backend.ONNXRUNTIME)


def pixels(photo: Photo) -> BgrImage:
    image: BgrImage = cv2.imdecode(np.frombuffer(photo.read(), np.uint8), cv2.IMREAD_COLOR)
    return image


def overlap(one: Face, other: Box) -> float:
    """Intersection over union."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    both = max(0.0, width) * max(0.0, height)
    return both / (one.width * one.height + other.width * other.height - both)


@pytest.mark.parametrize("face_height_px", [32, 64, 200])
def test_a_face_in_a_large_scene_is_found(
    encoder: FaceEncoder, photos: Sequence[Photo], face_height_px: int
) -> None:
    """From 32 pixels on, a face in 1080p is found where it is; one of six may be missed."""
    hits = 0
    for seed, photo in enumerate(photos[:DIFFERENT_PHOTOS]):
        image = pixels(photo)
        face = encoder.detect(image)[0]
        box = Box(left=face.left, top=face.top, width=face.width, height=face.height)
        scene, truth = in_scene(image, box, face_height_px=face_height_px, seed=seed)
        hits += any(overlap(found, truth) > 0.4 for found in encoder.detect(scene))
    assert hits >= DIFFERENT_PHOTOS - 1


def test_a_finer_search_is_made_only_where_a_coarse_one_finds_nothing(
    encoder: FaceEncoder, photos: Sequence[Photo]
) -> None:
    """What is found at the first size does not depend on whether there is a second."""
    image = cv2.resize(pixels(photos[0]), (1000, 1000))
    assert isinstance(encoder.detect, SlimDetector | YuNetDetector)
    first_only = replace(encoder.detect, sides_px=encoder.detect.sides_px[:1])
    assert [repr(f) for f in encoder.detect(image)] == [repr(f) for f in first_only(image)]


def test_a_face_in_the_dark_is_found_where_it_is(encoder: FaceEncoder, photos: Sequence[Photo]) -> None:
    """An eighth of the light and the sensor's noise hide it from the first look alone."""
    hits = 0
    for seed, photo in enumerate(photos[:DIFFERENT_PHOTOS]):
        image = pixels(photo)
        truth = encoder.detect(image)[0]
        dark = degrade(image, Degradation.DARK, strength=Strength.MEDIUM, seed=seed)
        faces, pixels_of_it = encoder.find(dark)
        assert pixels_of_it.shape == dark.shape
        box = Box(left=truth.left, top=truth.top, width=truth.width, height=truth.height)
        hits += bool(faces) and overlap(faces[0], box) > 0.4
    assert hits >= DIFFERENT_PHOTOS - 1


def test_a_photo_that_shows_a_face_is_not_touched(encoder: FaceEncoder, photos: Sequence[Photo]) -> None:
    """Its faces and its pixels are those of the first look, so its vector cannot move."""
    for seed, photo in enumerate(photos[:DIFFERENT_PHOTOS]):
        for strength in (None, Strength.LIGHT):
            image = pixels(photo)
            if strength is not None:
                image = degrade(image, Degradation.DARK, strength=strength, seed=seed)
            if first := encoder.detect(image):
                faces, same = encoder.find(image)
                assert same is image
                assert sorted(map(repr, faces)) == sorted(map(repr, first))


@pytest.mark.parametrize("level", [0, 1, 40, 200])
@pytest.mark.parametrize("size", [(1080, 1920), (64, 48)])
def test_nobody_appears_in_darkness(encoder: FaceEncoder, size: tuple[int, int], level: int) -> None:
    """Neither the noise of a covered lens nor an even wall becomes a face when it is raised."""
    noise = np.random.default_rng(level).normal(level, 3, (*size, 3))
    assert encoder.find(np.clip(noise, 0, 255).astype(np.uint8))[0] == []


def test_only_dark_photos_are_relit(photos: Sequence[Photo]) -> None:
    """To full brightness; a hot pixel does not make a dark photo a bright one."""
    image = pixels(photos[0])
    assert relit(image) is None
    dark = degrade(image, Degradation.DARK, strength=Strength.MEDIUM, seed=0)
    dark[5, 5] = 255
    light = relit(dark)
    assert light is not None
    assert np.quantile(light, 0.995) > 200


@pytest.mark.parametrize("size", [(1080, 1920), (64, 48)])
def test_a_photo_of_nobody_has_no_faces(encoder: FaceEncoder, size: tuple[int, int]) -> None:
    """Neither a large nor a small grey image has one, at any size of search."""
    assert encoder.detect(np.full((*size, 3), 127, np.uint8)) == []


def test_slim_boxes_are_those_of_the_graph_s_own_last_layers(
    model_cache: Path, photos: Sequence[Photo]
) -> None:
    """The graph's own softmax, priors and corners give the same faces as the arithmetic here."""
    pack = pack_named("faceplugin")
    folder = pack_folder(pack, model_cache)
    whole = load_network(load_files(pack, folder)["fr_detect.onnx"], ("scores", "boxes"), Backend.ONNXRUNTIME)
    detect = load_encoder(pack, folder, Backend.ONNXRUNTIME).detect
    for photo in photos[:DIFFERENT_PHOTOS]:
        canvas = cv2.resize(pixels(photo), (320, 240))
        scores, boxes = whole(to_blob(canvas, mean=(127.0,) * 3, std=(128.0,) * 3))
        best = int(scores[0, :, 1].argmax())
        left, top, right, bottom = boxes[0, best] * [320, 240, 320, 240]
        found = detect(canvas)[0]
        assert found.score == pytest.approx(float(scores[0, best, 1]), abs=1e-5)
        box = [found.left, found.top, found.left + found.width, found.top + found.height]
        np.testing.assert_allclose(box, [left, top, right, bottom], atol=SAME_BOX_PX)
