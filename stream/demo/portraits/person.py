"""A person who does not exist, drawn from a seed: what stays the same from photo to photo.

Lengths are in *head units*: the face is about 2 high and 1.5 wide, the origin between the eyes, u to the
right, v down.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from stream.demo.portraits.fields import Rgb, rgb, tint

PERSON_STREAM = 7
TEXTURE_STREAM = 13
"""First words of the seeds: one person's traits and textures never share random numbers with the photos."""

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

FAIR_TONES = 3.0
"""Below this place on the skin scale every hair and eye colour occurs; above it only the dark ones."""
FRECKLED_TONES = 2.0


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
HAIR_ODDS_FAIR = (0.3, 0.3, 0.1, 0.2)
HAIR_ODDS_DARK = (0.75, 0.2, 0.0, 0.0)
GRAY_ODDS_OLD = 0.9


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


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """One number between the two."""
    return float(rng.uniform(low, high))


def chance(rng: np.random.Generator, share: float) -> bool:
    """True for that share of draws."""
    return bool(rng.random() < share)


def draw_person(seed: int) -> Person:
    """The person of a seed: the same seed is the same person, for ever.

    Arguments are evaluated in the order they are written in, which is the order of the draws.
    """
    rng = np.random.default_rng([PERSON_STREAM, seed])
    man, older = chance(rng, 0.55), chance(rng, 0.45)
    tone = uniform(rng, 0, len(SKIN_TONES) - 1.01)
    return Person(
        man=man,
        older=older,
        hair_colour=_hair_colour(rng, fair=tone < FAIR_TONES, older=older),
        skin=_skin(rng, tone),
        eye_colour=EYE_COLOURS[int(rng.integers(len(EYE_COLOURS) if tone < FAIR_TONES else 2))],
        head=_head(rng, man=man),
        eyes=_eyes(rng, man=man),
        brows=_brows(rng, man=man),
        nose=_nose(rng, man=man),
        mouth=_mouth(rng),
        bones=_bones(rng),
        hair=_hair(rng, man=man),
        glasses=chance(rng, 0.25),
        lipstick=not man and chance(rng, 0.5),
        earrings=not man and chance(rng, 0.35),
        necktie=man and chance(rng, 0.3),
        mole=(uniform(rng, -0.5, 0.5), uniform(rng, 0.1, 0.8)) if chance(rng, 0.3) else None,
        freckles=tone < FRECKLED_TONES and chance(rng, 0.25),
        bags=older and chance(rng, 0.5),
        cloth=CLOTH_COLOURS[int(rng.integers(len(CLOTH_COLOURS)))],
        frame_shape=int(rng.integers(3)),
        frame_colour=FRAME_COLOURS[int(rng.integers(len(FRAME_COLOURS)))],
        lipstick_shade=uniform(rng, 0, 1),
        texture_seed=int(rng.integers(1 << 30)),
        facial_hair=_facial_hair(rng) if man else FacialHair.NONE,
        style=_style(rng, man=man, older=older),
    )


def _skin(rng: np.random.Generator, tone: float) -> Rgb:
    below = int(tone)
    skin = SKIN_TONES[below] + (SKIN_TONES[below + 1] - SKIN_TONES[below]) * (tone - below)
    return skin * tint(uniform(rng, 0.96, 1.04), 1, uniform(rng, 0.95, 1.05))


def _hair_colour(rng: np.random.Generator, *, fair: bool, older: bool) -> HairColour:
    odds = np.array([*(HAIR_ODDS_FAIR if fair else HAIR_ODDS_DARK), GRAY_ODDS_OLD if older else 0.0])
    return list(HairColour)[int(rng.choice(len(odds), p=odds / odds.sum()))]


def _head(rng: np.random.Generator, *, man: bool) -> Head:
    return Head(
        width=uniform(rng, 0.69, 0.84) + 0.02 * man,
        jaw=uniform(rng, 0.70, 0.88) + 0.08 * man,
        squareness=uniform(rng, 1.95, 2.5),
        chin=uniform(rng, 0.93, 1.07),
    )


def _eyes(rng: np.random.Generator, *, man: bool) -> Eyes:
    return Eyes(
        apart=uniform(rng, 0.285, 0.375),
        height=uniform(rng, -0.07, 0.03),
        half_width=uniform(rng, 0.125, 0.175),
        opening=uniform(rng, 0.045, 0.085) + 0.01 * (not man),
        slant=uniform(rng, -0.22, 0.12),
    )


def _brows(rng: np.random.Generator, *, man: bool) -> Brows:
    return Brows(
        above_eye=uniform(rng, 0.17, 0.25) - 0.02 * man,
        thickness=uniform(rng, 0.022, 0.042) + 0.018 * man,
        arch=uniform(rng, 0.0, 0.14),
        half_width=uniform(rng, 0.16, 0.22),
        tilt=uniform(rng, -0.10, 0.12),
    )


def _nose(rng: np.random.Generator, *, man: bool) -> Nose:
    return Nose(
        length=uniform(rng, 0.34, 0.47),
        half_width=uniform(rng, 0.085, 0.15) + 0.015 * man,
        depth=uniform(rng, 0.17, 0.34),
        nostrils=uniform(rng, 0.5, 1.0),
    )


def _mouth(rng: np.random.Generator) -> Mouth:
    return Mouth(
        height=uniform(rng, 0.62, 0.71),
        half_width=uniform(rng, 0.20, 0.31),
        upper=uniform(rng, 0.025, 0.06),
        lower=uniform(rng, 0.04, 0.085),
    )


def _bones(rng: np.random.Generator) -> Bones:
    return Bones(
        cheek=uniform(rng, 0.0, 0.14),
        cheek_apart=uniform(rng, 0.36, 0.5),
        cleft=uniform(rng, 0.0, 0.09),
        jowl=uniform(rng, -0.05, 0.12),
        brow_ridge=uniform(rng, 0.0, 0.09),
    )


def _hair(rng: np.random.Generator, *, man: bool) -> Hair:
    return Hair(
        line=uniform(rng, -0.80, -0.60),
        line_curve=uniform(rng, 2.0, 5.0),
        parting=uniform(rng, -0.5, 0.5),
        volume=uniform(rng, 0.05, 0.16) + 0.05 * (not man),
        wavy=chance(rng, 0.45),
    )


def _facial_hair(rng: np.random.Generator) -> FacialHair:
    draw = rng.random()
    if draw < 0.22:
        return FacialHair.BEARD
    if draw < 0.32:
        return FacialHair.MOUSTACHE
    return FacialHair.STUBBLE if draw < 0.45 else FacialHair.NONE


def _style(rng: np.random.Generator, *, man: bool, older: bool) -> Style:
    if man:
        return MENS_STYLES[int(rng.integers(0 if older else 2, len(MENS_STYLES)))]
    return WOMENS_STYLES[int(rng.integers(len(WOMENS_STYLES)))]
