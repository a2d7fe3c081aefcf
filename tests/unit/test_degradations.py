"""Degradations: the same by the same seed, of the same shape, and worse when stronger."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import IMAGE, TEXT, Modality
from stream.evaluation.degrade import (
    BLUR_SIGMA_SHARE,
    COVERED_SHARE,
    Box,
    Degradation,
    Strength,
    degrade,
    degrade_encoded,
    drop_modalities,
)
from stream.features.cv import cv2
from stream.features.networks import BgrImage
from tests.image_factories import encoded

VOICE = Modality("voice")
SHAPES = [(64, 48, 3), (33, 90, 3), (5, 5, 3), (1, 1, 3)]


def picture(height: int = 120, width: int = 100) -> BgrImage:
    """Edges and shades at every scale, as a photo has them."""
    rng = np.random.default_rng(3)
    layers = [
        cv2.resize(
            rng.integers(0, 256, (side, side, 3), dtype=np.uint8),
            (width, height),
            interpolation=cv2.INTER_CUBIC,
        ).astype(np.float64)
        for side in (4, 12, 40)
    ]
    return np.mean(layers, axis=0).round().astype(np.uint8)


def loss(image: BgrImage, worse: BgrImage) -> float:
    """Mean square difference, in grey levels."""
    return float(np.mean((image.astype(np.float64) - worse) ** 2))


@pytest.mark.parametrize("strength", Strength)
@pytest.mark.parametrize("kind", Degradation)
def test_the_same_seed_gives_the_same_pixels(kind: Degradation, strength: Strength) -> None:
    """And the image that came in stays as it was."""
    image = picture()
    before = image.copy()
    first = degrade(image, kind, strength=strength, seed=7)
    assert np.array_equal(first, degrade(image, kind, strength=strength, seed=7))
    assert np.array_equal(image, before)
    assert not np.array_equal(first, image)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", Degradation)
def test_the_shape_is_kept(kind: Degradation, shape: tuple[int, int, int]) -> None:
    """Down to a single pixel."""
    image = np.full(shape, 200, dtype=np.uint8)
    for strength in Strength:
        worse = degrade(image, kind, strength=strength, seed=1)
        assert (worse.shape, worse.dtype) == (shape, np.uint8)


@pytest.mark.parametrize("kind", [kind for kind in Degradation if kind is not Degradation.MIX])
def test_a_stronger_degradation_takes_more_of_the_picture(kind: Degradation) -> None:
    """By the mean square difference, for one seed."""
    image = picture()
    losses = [loss(image, degrade(image, kind, strength=strength, seed=5)) for strength in Strength]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


@pytest.mark.parametrize("kind", [Degradation.COVERED, Degradation.DARK, Degradation.MIX])
def test_what_is_drawn_is_drawn_by_the_seed(kind: Degradation) -> None:
    """Different seeds, different pictures."""
    image = picture()
    made = {degrade(image, kind, strength=Strength.MEDIUM, seed=seed).tobytes() for seed in range(8)}
    assert len(made) > 1


def test_a_mix_is_always_one_of_the_others() -> None:
    """Over some seeds every one of them comes up, and nothing else does."""
    image = np.full((40, 40, 3), 180, dtype=np.uint8)
    image[::2] = 40
    seen = {tuple(degrade(image, Degradation.MIX, strength=Strength.LIGHT, seed=s)[0, 0]) for s in range(40)}
    assert len(seen) > 3


@pytest.mark.parametrize("strength", Strength)
def test_the_bar_covers_its_share_of_the_face_and_nothing_else(strength: Strength) -> None:
    """Pixels outside the face's box stay; inside, the stated share is of one colour."""
    image = picture()
    face = Box(left=20, top=30, width=40, height=60)
    inside = np.zeros(image.shape[:2], dtype=bool)
    inside[30:90, 20:60] = True
    for seed in range(12):
        changed = np.any(
            degrade(image, Degradation.COVERED, strength=strength, seed=seed, face=face) != image, 2
        )
        assert not changed[~inside].any()
        assert changed[inside].mean() == pytest.approx(COVERED_SHARE[strength], abs=0.03)


def test_a_face_beyond_the_edge_is_covered_as_far_as_there_is_an_image() -> None:
    """A box that a detector put outside changes nothing and fails nothing."""
    image = picture()
    face = Box(left=500, top=-400, width=60, height=60)
    assert np.array_equal(
        degrade(image, Degradation.COVERED, strength=Strength.STRONG, seed=2, face=face), image
    )


def test_blur_is_measured_in_shares_of_the_short_side() -> None:
    """A step edge in a photo twice as large is spread over twice the pixels."""

    def spread(side: int) -> int:
        image = np.zeros((side, side, 3), dtype=np.uint8)
        image[:, side // 2 :] = 255
        row = degrade(image, Degradation.BLURRED, strength=Strength.STRONG, seed=0)[side // 2, :, 0]
        return int(np.count_nonzero((row > 40) & (row < 215)))

    assert spread(400) == pytest.approx(2 * spread(200), abs=2)
    # From 16 % to 84 % of a step a Gaussian takes 2σ.
    assert spread(400) == pytest.approx(2 * BLUR_SIGMA_SHARE[Strength.STRONG] * 400, abs=2)


def test_a_file_comes_back_as_a_file_of_the_same_size() -> None:
    """Whatever format came in; the pixels are those of the pure function."""
    image = picture()
    data = encoded(".png", image)
    worse = degrade_encoded(data, Degradation.DARK, strength=Strength.MEDIUM, seed=3)
    assert np.array_equal(
        cv2.imdecode(np.frombuffer(worse, np.uint8), cv2.IMREAD_COLOR),
        degrade(image, Degradation.DARK, strength=Strength.MEDIUM, seed=3),
    )


def test_the_face_is_asked_for_only_where_it_is_covered() -> None:
    """Detection costs as much as the rest."""
    asked: list[tuple[int, ...]] = []

    def find(image: BgrImage) -> Box | None:
        asked.append(image.shape)

    data = encoded(".png", picture())
    for kind in Degradation:
        degrade_encoded(data, kind, strength=Strength.LIGHT, seed=1, find_face=find)
    assert asked == [(120, 100, 3)] * 2


@pytest.mark.parametrize("data", [b"", b"no image", encoded(".png", picture())[:60]])
def test_what_cannot_be_decoded_stays_as_it_is(data: bytes) -> None:
    """It is for the extractor to say why."""
    assert degrade_encoded(data, Degradation.BLURRED, strength=Strength.LIGHT, seed=1) == data


records = st.lists(st.sets(st.sampled_from([IMAGE, TEXT, VOICE]), max_size=3), max_size=30)


@given(masks=records, share=st.floats(0, 1), seed=st.integers(0, 99))
def test_that_share_of_the_records_loses_one_modality(
    masks: list[set[Modality]], share: float, seed: int
) -> None:
    """No more and no fewer, each exactly one, and no record its last."""
    whole = [{modality: str(modality) for modality in mask} for mask in masks]
    left = drop_modalities(whole, share=share, seed=seed)
    lost = [len(before) - len(after) for before, after in zip(whole, left, strict=True)]
    assert set(lost) <= {0, 1}
    assert sum(lost) == round(share * sum(len(mask) > 1 for mask in masks))
    assert all(after.items() <= before.items() for before, after in zip(whole, left, strict=True))
    assert all(after or not before for before, after in zip(whole, left, strict=True))
    assert left == drop_modalities(whole, share=share, seed=seed)


def test_either_modality_can_be_lost() -> None:
    """Evenly, within what 400 coins allow."""
    left = drop_modalities([{IMAGE: 1, TEXT: 2}] * 1000, share=0.4, seed=11)
    without_image = sum(IMAGE not in record for record in left)
    assert sum(len(record) == 1 for record in left) == 400
    assert without_image == pytest.approx(200, abs=40)
