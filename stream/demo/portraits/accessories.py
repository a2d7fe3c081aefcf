"""Glasses, hats and earrings."""

import numpy as np

from stream.demo.portraits.fields import Colours, Field, paint, smoothstep
from stream.demo.portraits.hair import Strands
from stream.demo.portraits.shot import Hat
from stream.demo.portraits.traits import Person
from stream.demo.portraits.view import View

GOLD_RGB = (0.93, 0.82, 0.45)
LENS_RGB = (0.97, 0.98, 1.0)
ROUND, SQUARE, FLAT = 0, 1, 2
FRAME_SQUARENESS = {ROUND: 2.0, SQUARE: 4.0, FLAT: 3.0}
"""Exponent of the frame's outline: 2 is an ellipse."""


def paint_earrings(person: Person, view: View, image: Colours) -> Colours:
    """One beside each cheek."""
    if not person.earrings:
        return image
    away = np.hypot(view.across - person.head.width * 1.02, view.v - 0.36)
    return paint(image, GOLD_RGB, view.inside(0.035 - away))


def paint_glasses(person: Person, view: View, image: Colours) -> Colours:
    """Frame, bridge, arms and a reflection in the lenses."""
    if not person.glasses:
        return image
    shape, eyes = person.frame_shape, person.eyes
    squareness = FRAME_SQUARENESS[shape]
    out = (view.across - eyes.apart - 0.005) / (0.205 if shape == ROUND else 0.235)
    down = (view.v - eyes.height - 0.02) / (0.135 if shape == FLAT else 0.165)
    outline = np.power(np.abs(out), squareness) + np.power(np.abs(down), squareness)
    beyond = (np.power(outline, 1 / squareness) - 1) * 0.19
    lens = view.inside(-beyond)
    streak = np.abs(view.u + view.v * 0.6 - (0.1 + eyes.apart) * view.side) - 0.03
    image = paint(image, LENS_RGB, lens * (0.07 + 0.16 * smoothstep(0.02, 0.0, streak)))
    return paint(image, person.frame_colour, _frame(person, view, beyond))


def _frame(person: Person, view: View, beyond: Field) -> Field:
    eyes = person.eyes
    rim = view.inside(0.017 + 0.006 * (person.frame_shape == SQUARE) - np.abs(beyond))
    level = view.v - eyes.height + 0.03
    bridge = view.inside(0.014 - np.abs(level - 0.8 * view.u * view.u)) * view.inside(
        eyes.apart - 0.2 - view.across
    )
    arms = view.inside(0.014 - np.abs(level)) * (view.across > eyes.apart + 0.22)
    arms = arms * (view.across < person.head.width) * (not person.long_hair)
    return np.clip(rim + bridge + arms, 0, 1)


def paint_hat(hat: Hat | None, person: Person, strands: Strands, view: View, image: Colours) -> Colours:
    """A knitted beanie, or a cap with a peak, and its shadow on the forehead."""
    if hat is None:
        return image
    width = person.head.width + strands.volume * 0.6
    brim = 0.06 * (view.across / person.head.width) ** 2 - 0.50
    below_brim = view.v - brim
    knit = 0.08 * np.sin(view.u * 60) if hat.beanie else np.zeros_like(view.u)
    image = image * (1 - 0.30 * smoothstep(0.16, 0.0, below_brim) * view.face * (below_brim > 0))[..., None]

    dome = np.hypot(view.u / (width + 0.06), (view.v + 0.15) / (1.08 + strands.volume * 0.5))
    crown = view.inside((1 - dome) * 0.9, 1.5) * view.inside(-below_brim, 1.5)
    image = paint(image, hat.colour * (0.62 + 0.45 * strands.shade + knit)[..., None], crown)
    band = view.inside(-below_brim, 1.5) * view.inside(below_brim + 0.17, 1.5)
    band = band * view.inside(width + 0.07 - view.across)
    image = paint(image, hat.colour * ((0.75 if hat.beanie else 0.45) * (1 + knit))[..., None], band)
    if hat.beanie:
        return image
    droop = 0.05 * (view.u / person.head.width) ** 2
    peak = 1 - np.hypot(view.u / (person.head.width + 0.32), (view.v + 0.53 - droop) / 0.085)
    return paint(image, hat.colour * 0.8, view.inside(peak))
