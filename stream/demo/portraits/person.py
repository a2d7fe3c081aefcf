"""A person who does not exist, drawn from a seed."""

import numpy as np

from stream.demo.portraits.fields import Rgb, tint
from stream.demo.portraits.traits import (
    CLOTH_COLOURS,
    EYE_COLOURS,
    FRAME_COLOURS,
    MENS_STYLES,
    SKIN_TONES,
    WOMENS_STYLES,
    Bones,
    Brows,
    Eyes,
    FacialHair,
    Hair,
    HairColour,
    Head,
    Mouth,
    Nose,
    Person,
    Style,
)

PERSON_STREAM = 7
"""First word of the seeds: traits share no random numbers with textures and photos."""

FAIR_TONES = 3.0
"""Below this place on the skin scale every hair and eye colour occurs; above it only the dark ones."""
FRECKLED_TONES = 2.0

HAIR_ODDS_FAIR = (0.3, 0.3, 0.1, 0.2)
HAIR_ODDS_DARK = (0.75, 0.2, 0.0, 0.0)
GRAY_ODDS_OLD = 0.9


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
