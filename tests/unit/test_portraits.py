"""Rendered people: the same for ever, themselves in every photo, described truly."""

import numpy as np
import pytest

from stream.demo.portraits import Attributes, caption, portrait, portrait_jpeg
from stream.demo.portraits.person import FacialHair, HairColour

SIZE = 96
"""Small photos: enough for every law, a tenth of the time."""


def test_a_seed_and_a_photo_number_give_the_same_jpeg_for_ever() -> None:
    """Rendering draws from its seeds alone."""
    assert portrait_jpeg(3, 1, SIZE) == portrait_jpeg(3, 1, SIZE)


def test_pixels_are_those_of_the_jpeg_in_the_size_asked_for() -> None:
    """A portrait is (size, size, 3) uint8 and not flat."""
    pixels, _ = portrait(5, 0, SIZE)
    assert pixels.shape == (SIZE, SIZE, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 20


def test_another_photo_of_a_person_differs_in_pixels_but_not_in_traits() -> None:
    """Pose, light and expression change; what a person is does not."""
    first, second = portrait(8, 0, SIZE), portrait(8, 1, SIZE)
    assert not np.array_equal(first[0], second[0])
    for trait in (
        "man",
        "older",
        "glasses",
        "facial_hair",
        "bald",
        "hair_colour",
        "wavy",
        "lipstick",
        "bags",
    ):
        assert getattr(first[1], trait) == getattr(second[1], trait)


def test_people_are_of_every_kind() -> None:
    """Over forty seeds each attribute occurs and is absent: captions tell people apart."""
    seen = [portrait_jpeg(seed, 0, 32)[1] for seed in range(40)]
    for trait in (
        "man",
        "older",
        "smile",
        "glasses",
        "hat",
        "wavy",
        "lipstick",
        "earrings",
        "necktie",
        "bags",
    ):
        assert {getattr(attributes, trait) for attributes in seen} == {True, False}, trait
    assert {attributes.facial_hair for attributes in seen} == set(FacialHair)
    assert len({caption(attributes) for attributes in seen}) > 25


def attributes(**changes: object) -> Attributes:
    """A young man with brown hair and nothing else to say about him, but for the changes."""
    plain: dict[str, object] = dict.fromkeys(
        ("older", "smile", "glasses", "hat", "bald", "receding", "wavy"), False
    ) | dict.fromkeys(("lipstick", "earrings", "necktie", "bags"), False)
    plain |= {"man": True, "facial_hair": FacialHair.NONE, "hair_colour": HairColour.BROWN}
    return Attributes(**(plain | changes))  # type: ignore[arg-type]  # a table of keywords


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (attributes(), "This is a young man with brown hair."),
        (attributes(hat=True), "This is a young man with a hat."),
        (attributes(hat=True, wavy=True, receding=True), "This is a young man with a hat."),
        (attributes(bald=True, hair_colour=None), "This is a young man with a bald head."),
        (attributes(bald=True, hair_colour=None, hat=True, older=True), "This is an older man with a hat."),
        (
            attributes(man=False, glasses=True, smile=True),
            "This is a young woman with glasses, a smile and brown hair.",
        ),
        (
            attributes(facial_hair=FacialHair.BEARD, wavy=True),
            "This is a young man with a beard, brown hair and wavy hair.",
        ),
        (
            attributes(facial_hair=FacialHair.STUBBLE, hat=True, hair_colour=None),
            "This is a young man with a hat.",
        ),
    ],
)
def test_a_caption_says_what_is_seen_and_nothing_that_a_hat_hides(told: Attributes, sentence: str) -> None:
    """Captions are true sentences made of the attributes that show."""
    assert caption(told) == sentence


def test_a_person_with_nothing_to_tell_still_gets_a_sentence() -> None:
    """No features give a sentence without a list."""
    told = attributes(hat=False, bald=False, hair_colour=None)
    assert caption(told) == "This is a young man."
