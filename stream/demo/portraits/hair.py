"""The hair of the head: what falls behind it, and what lies on it."""

from dataclasses import dataclass

import numpy as np

from stream.demo.portraits.fields import Colours, Field, Rgb, bump, knots, paint, smoothstep, texture
from stream.demo.portraits.shot import Light
from stream.demo.portraits.skin import face_hair_rgb
from stream.demo.portraits.traits import HAIR_RGB, FacialHair, Person, Style
from stream.demo.portraits.view import View
from stream.features.cv import cv2

OUTLINE_TEXTURE, FLOW_TEXTURE, LOCKS_TEXTURE = 6, 7, 8

LINE_IN_FRONT = {Style.RECEDING: -0.80, Style.FRINGE: -0.46, Style.LONG_FRINGE: -0.44}
"""Where the hair begins above the forehead; others have their own line."""
LINE_AT_SIDE = {Style.RECEDING: -0.05, Style.SHORT: 0.02, Style.FRINGE: 0.0, Style.UP: -0.02}
LINE_AT_SIDE_ELSE = 0.1
LENGTH = {Style.BOB: 0.75}
LENGTH_ELSE = 1.55
RECEDING_CURVE = 1.6
FRINGES = frozenset({Style.FRINGE, Style.LONG_FRINGE})
SHADOW_BLUR = 0.012
"""Of the photo's size: how soft and how far down the hair's shadow on the face is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strands:
    """The hair's texture in this photo, before it is cut."""

    shade: Field
    """Of everything round the face, whose own shade comes from its relief."""
    volume: float
    outline: Field
    """How far single strands leave the outline."""
    flow: Field
    locks: Field
    sheen: Field
    base: Rgb

    def colours(self, brightness: float) -> Colours:
        """The hair, lit."""
        grain = (1 + 0.16 * self.flow + 0.16 * self.locks) * (0.50 + 0.62 * self.shade) * brightness
        lit: Colours = np.clip(self.base * grain[..., None] + self.sheen[..., None], 0, 1)
        return lit


def comb(person: Person, light: Light, view: View) -> Strands:
    """The strands of a person's hair under the lamp."""
    u, v = view.u, view.v
    lamp_right, lamp_down, _ = light.direction
    wavy = person.hair.wavy
    edge = np.hypot(u / (person.head.width + 0.1), v / 1.1)
    slope = 0.5 * (u * lamp_right + (v + 0.2) * lamp_down * 0.8)
    outline_knots = (
        knots(person.textures(OUTLINE_TEXTURE), 26, 26)
        if wavy
        else knots(person.textures(OUTLINE_TEXTURE), 40, 40)
    )
    angle = np.arctan2(u - person.hair.parting * 0.5, 0.001 - (v + 0.35)) * 0.62
    reach = np.clip(np.hypot(u, v), 0, 1.9)
    flow_wave = 0.10 * np.sin(v * 9 + 3 * u) if wavy else 0
    lock_wave = 0.12 * np.sin(v * 7) if wavy else 0
    base = HAIR_RGB[person.hair_colour]
    crown = np.hypot(u * 0.8 - lamp_right * 0.5, v + 0.85) - 0.15
    return Strands(
        shade=np.clip(0.75 + slope - 0.35 * smoothstep(0.85, 1.25, edge), 0.2, 1.2),
        volume=person.hair.volume + 0.05 * wavy,
        outline=(0.045 if wavy else 0.012) * texture(outline_knots, u, v),
        flow=texture(knots(person.textures(FLOW_TEXTURE), 220, 9), angle + flow_wave, reach),
        locks=texture(knots(person.textures(LOCKS_TEXTURE), 60, 5), angle + lock_wave, reach),
        sheen=(0.10 * float(base.mean()) + 0.03) * bump(crown, 0.12),
        base=base,
    )


def _long_width(person: Person, strands: Strands, view: View) -> Field:
    return person.head.width + strands.volume + 0.02 + 0.10 * smoothstep(-0.2, 1.0, view.v) + strands.outline


def _long_end(person: Person, strands: Strands, view: View) -> Field:
    length = LENGTH.get(person.style, LENGTH_ELSE)
    return smoothstep(length + 0.08, length - 0.08, view.v + strands.outline)


def paint_hair_behind(person: Person, strands: Strands, view: View, image: Colours) -> Colours:
    """The part of long hair that the face covers."""
    if not person.long_hair:
        return image
    width = _long_width(person, strands, view)
    crown = view.inside(1 - np.hypot(view.u / width, (view.v + 0.05) / (1.06 + strands.volume)))
    behind = view.inside(width - view.across, 2) * np.where(view.v < 0, crown, 1)
    return paint(image, strands.colours(0.55), behind * _long_end(person, strands, view))


def paint_hair(person: Person, strands: Strands, view: View, image: Colours) -> Colours:
    """The hair over forehead, temples and shoulders, with its shadow on the face."""
    if person.style is Style.BALD:
        return _paint_stubbled_sides(person, view, image)
    mask = _mask(person, strands, view)
    drop = int(view.size * SHADOW_BLUR)
    shadow = np.roll(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), view.size * SHADOW_BLUR), drop, 0)
    image = image * (1 - 0.35 * shadow * (1 - mask) * view.face)[..., None]
    image = paint(image, strands.colours(1.0), mask)
    if person.style is Style.UP:
        bun = view.inside(0.34 - np.hypot(view.u, view.v + 1.16) + strands.outline * 0.5, 2) * (1 - mask)
        image = paint(image, strands.colours(0.9), bun)
    return image


def _paint_stubbled_sides(person: Person, view: View, image: Colours) -> Colours:
    width = person.head.width
    sides = smoothstep(width * 0.86, width * 0.98, view.across)
    sides = sides * smoothstep(-0.35, -0.2, view.v) * smoothstep(0.2, 0.05, view.v)
    return paint(image, face_hair_rgb(person) * 0.8 + person.skin * 0.2, 0.5 * view.face * sides)


def _mask(person: Person, strands: Strands, view: View) -> Field:
    cap = _cap(person, strands, view)
    growth = _hairline(person, strands, view) - view.v + 0.02 * strands.flow + strands.outline * 0.5
    mask = cap * smoothstep(-0.035, 0.03, growth)
    if person.long_hair:
        mask = np.maximum(mask, _curtains(person, strands, view, cap))
    if person.man:
        mask = np.maximum(mask, _sideburns(person, view))
    return mask


def _cap(person: Person, strands: Strands, view: View) -> Field:
    """The head with its hair on, down to the neck."""
    width = person.head.width * 0.99 + strands.volume * (1.0 if person.long_hair else 0.55)
    outline = np.hypot(view.u / width, (view.v + 0.06) / (1.0 + strands.volume * 0.9))
    return view.inside((1 - outline + strands.outline * 0.8) * 0.8, 1.5)


def _hairline(person: Person, strands: Strands, view: View) -> Field:
    style, hair = person.style, person.hair
    front = LINE_IN_FRONT.get(style, hair.line)
    side = LINE_AT_SIDE.get(style, LINE_AT_SIDE_ELSE)
    from_parting = view.u - hair.parting * (0.25 if style is Style.SHORT else 0.15)
    outwards = np.clip(np.abs(from_parting) / (person.head.width * 0.97), 0, 1.25)
    line: Field = front + (side - front) * outwards ** (
        RECEDING_CURVE if style is Style.RECEDING else hair.line_curve
    )
    if style is Style.RECEDING:
        line = line + 0.208 * bump(from_parting, 0.16)
    if style in FRINGES:
        line = line + 0.05 * np.abs(strands.locks)
    return line


def _curtains(person: Person, strands: Strands, view: View, cap: Field) -> Field:
    """Long hair beside the face."""
    inner = person.head.width * (0.86 + 0.10 * smoothstep(0.1, 0.8, view.v))
    curtains = view.inside(_long_width(person, strands, view) - view.across, 2)
    curtains = (
        curtains * smoothstep(-0.03, 0.03, view.across - inner + strands.outline * 0.5) * (view.v > -0.35)
    )
    return curtains * _long_end(person, strands, view) * (1 - (view.v < 0) * (cap < 0.02))


def _sideburns(person: Person, view: View) -> Field:
    end = 0.30 if person.facial_hair in {FacialHair.BEARD, FacialHair.STUBBLE} else 0.12
    width = person.head.width
    where = smoothstep(width * 0.87, width * 0.93, view.across) * smoothstep(-0.5, -0.3, view.v)
    return 0.9 * view.face * where * smoothstep(end + 0.1, end, view.v)
