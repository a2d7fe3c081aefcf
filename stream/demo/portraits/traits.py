"""What a person is made of: everything that stays the same from photo to photo.

Lengths are in *head units*: the face is about 2 high and 1.5 wide, the origin between the eyes, u to the
right, v down.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from stream.demo.portraits.fields import Rgb, rgb, tint

TEXTURE_STREAM = 13
"""First word of the seeds: textures share no random numbers with traits and photos."""

SKIN_TONES = (
    rgb(243, 208, 187),
    rgb(233, 190, 160),
    rgb(219, 170, 135),
    rgb(196, 140, 103),
    rgb(160, 110, 80),
    rgb(122, 80, 58),
    rgb(98, 64, 48),
)
EYE_COLOURS = (rgb(78, 50, 32), rgb(98, 68, 40), rgb(86, 104, 70), rgb(88, 128, 158), rgb(112, 126, 136))
CLOTH_COLOURS = (
    rgb(44, 62, 92),
    rgb(120, 44, 52),
    rgb(58, 96, 84),
    rgb(204, 198, 186),
    rgb(66, 66, 72),
    rgb(168, 122, 62),
    rgb(94, 74, 120),
    rgb(36, 40, 46),
)
FRAME_COLOURS = (rgb(30, 26, 26), rgb(92, 56, 30), rgb(120, 120, 126))
LIPSTICKS = (tint(0.72, 0.10, 0.16), tint(0.66, 0.16, 0.30), tint(0.80, 0.30, 0.28))


class HairColour(StrEnum):
    """The colours that captions name."""

    BLACK = "black"
    BROWN = "brown"
    AUBURN = "auburn"
    BLOND = "blond"
    GRAY = "gray"


HAIR_RGB = {
    HairColour.BLACK: rgb(34, 28, 28),
    HairColour.BROWN: rgb(86, 56, 38),
    HairColour.AUBURN: rgb(122, 58, 34),
    HairColour.BLOND: rgb(214, 172, 104),
    HairColour.GRAY: rgb(172, 170, 168),
}


class Style(StrEnum):
    """How the hair is worn."""

    BALD = "bald"
    RECEDING = "receding"
    SHORT = "short"
    FRINGE = "fringe"
    LONG = "long"
    BOB = "bob"
    LONG_FRINGE = "long_fringe"
    UP = "up"


MENS_STYLES = (Style.BALD, Style.RECEDING, Style.SHORT, Style.SHORT, Style.SHORT, Style.FRINGE)
"""The first two are for older men only."""
WOMENS_STYLES = (Style.LONG, Style.LONG, Style.BOB, Style.LONG_FRINGE, Style.UP)
LONG_STYLES = frozenset({Style.LONG, Style.BOB, Style.LONG_FRINGE})


class FacialHair(StrEnum):
    """What grows on the face; each is one word of a caption."""

    NONE = "none"
    STUBBLE = "stubble"
    MOUSTACHE = "moustache"
    BEARD = "beard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The outline."""

    width: float
    """Half of it."""
    jaw: float
    """Width of the jaw over the width of the head."""
    squareness: float
    """Exponent of the outline: 2 is an ellipse."""
    chin: float
    """Height below the origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """Place and shape of the eyes."""

    apart: float
    """Half of the way between them."""
    height: float
    half_width: float
    opening: float
    slant: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Brows:
    """Place and shape of the eyebrows."""

    above_eye: float
    thickness: float
    arch: float
    half_width: float
    tilt: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Nose:
    """Place and shape of the nose."""

    length: float
    half_width: float
    depth: float
    nostrils: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mouth:
    """Place and shape of the mouth."""

    height: float
    half_width: float
    upper: float
    lower: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bones:
    """What the light finds between the features."""

    cheek: float
    cheek_apart: float
    cleft: float
    jowl: float
    brow_ridge: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hair:
    """The hair of the head."""

    line: float
    line_curve: float
    parting: float
    volume: float
    wavy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Everything about a person that no photo changes."""

    man: bool
    older: bool
    skin: Rgb
    hair_colour: HairColour
    eye_colour: Rgb
    head: Head
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    bones: Bones
    hair: Hair
    glasses: bool
    lipstick: bool
    earrings: bool
    necktie: bool
    mole: tuple[float, float] | None
    """(u over the head's width, v)."""
    freckles: bool
    bags: bool
    cloth: Rgb
    frame_shape: int
    """0 round, 1 square, 2 flat."""
    frame_colour: Rgb
    lipstick_shade: float
    texture_seed: int
    facial_hair: FacialHair
    style: Style

    @property
    def long_hair(self) -> bool:
        """Whether the hair covers the ears."""
        return self.style in LONG_STYLES

    def textures(self, number: int) -> np.random.Generator:
        """The random numbers of one of the person's own textures."""
        return np.random.default_rng([TEXTURE_STREAM, self.texture_seed, number])
