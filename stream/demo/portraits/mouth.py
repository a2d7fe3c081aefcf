"""Lips, teeth and the smile."""

from dataclasses import dataclass

import numpy as np

from stream.demo.portraits.fields import Colours, Field, Rgb, bump, paint, smoothstep, tint
from stream.demo.portraits.shot import Expression
from stream.demo.portraits.traits import LIPSTICKS, Mouth, Person
from stream.demo.portraits.view import View

NATURAL_LIPS = tint(0.86, 0.56, 0.56)
LIP_LINE = tint(0.30, 0.16, 0.16)
MOUTH_RGB = (0.25, 0.08, 0.08)
TEETH_RGB = (0.93, 0.91, 0.87)
SHUT = 0.01
"""Lips that part less than this are shut: the line between them is drawn in the middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lips:
    """Where the mouth of this photo is."""

    half_width: float
    corner: Field
    """0 in the middle of the mouth, 1 at its corners and beyond."""
    below: Field
    """Way down from the line between the lips."""
    gap_top: Field
    gap_bottom: Field
    """Where the lips part: from `gap_top` above the line to `gap_bottom` below it."""
    between_corners: Field
    mask: Field
    """1 on the lips."""

    def lift(self, expression: Expression) -> Field:
        """How far a smile moves each part of the mouth: corners up."""
        return _lift(expression, self.corner)


def _lift(expression: Expression, corner: Field) -> Field:
    return -0.105 * expression.smile * corner**2 - 0.01 * expression.smile


def shape_lips(mouth: Mouth, expression: Expression, view: View) -> Lips:
    """The mouth in this expression."""
    half_width = mouth.half_width * (1 + 0.20 * max(expression.smile, 0))
    corner = np.clip(view.across / half_width, 0, 1)
    round_off = 1 - corner**2
    gap_top, gap_bottom = expression.opened * 0.35 * round_off, expression.opened * 0.9 * round_off
    upper = mouth.upper * round_off**0.7 * (1 - 0.28 * bump(view.u, 0.035)) + gap_top
    lower = mouth.lower * (1 - corner**2.4) ** 0.8 + gap_bottom
    below = view.v - mouth.height - _lift(expression, corner)
    between_corners = view.inside(half_width - view.across, 1.5)
    return Lips(
        half_width=half_width,
        corner=corner,
        below=below,
        gap_top=gap_top,
        gap_bottom=gap_bottom,
        between_corners=between_corners,
        mask=view.inside(below + upper, 1.6) * view.inside(lower - below, 1.6) * between_corners,
    )


def _lip_rgb(person: Person) -> Rgb:
    if not person.lipstick:
        return person.skin * NATURAL_LIPS
    return LIPSTICKS[int(person.lipstick_shade * (len(LIPSTICKS) - 0.01))] * (
        0.6 + 0.4 * float(person.skin.mean())
    )


def paint_mouth(person: Person, expression: Expression, lips: Lips, view: View, skin: Colours) -> Colours:
    """Lips, what is seen between them, and the line where they meet."""
    colour = _lip_rgb(person) * (1 - 0.10 * (lips.below < 0))[..., None]
    skin = paint(skin, colour, lips.mask * 0.92)
    gap = view.inside(lips.below + lips.gap_top + 0.001) * view.inside(lips.gap_bottom - lips.below)
    gap = gap * lips.between_corners
    skin = paint(skin, MOUTH_RGB, gap)
    teeth = smoothstep(0.012, -0.006, lips.below - expression.opened * 0.45)
    skin = paint(skin, TEETH_RGB, gap * teeth * (view.across < lips.half_width * 0.86))
    line = lips.below if expression.opened < SHUT else lips.below + lips.gap_top
    ends = smoothstep(1.1, 0.95, view.across / lips.half_width)
    return paint(skin, person.skin * LIP_LINE, 0.85 * bump(line, 0.0095) * ends * (1 - 0.5 * (gap > 0.5)))


def lip_gloss(person: Person, expression: Expression, lips: Lips, view: View) -> Field:
    """The light on the lower lip, stronger with lipstick."""
    along = lips.below - person.mouth.lower * 0.5 - expression.opened * 0.9
    return 0.12 * (1 + person.lipstick) * bump(along, 0.012) * bump(view.u, lips.half_width * 0.35)
