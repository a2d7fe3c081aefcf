"""What is behind and below the face: backdrop, neck, clothes, ears."""

import numpy as np

from stream.demo.portraits.fields import Colours, Field, bump, paint, smoothstep, texture
from stream.demo.portraits.shot import Backdrop, Shot
from stream.demo.portraits.traits import CLOTH_COLOURS, Person
from stream.demo.portraits.view import View

COLLAR_RGB = (0.93, 0.93, 0.94)
TIE_COLOURS = CLOTH_COLOURS[:3]


def paint_backdrop(backdrop: Backdrop, view: View) -> Colours:
    """The wall behind."""
    wall = np.broadcast_to(backdrop.near.astype(np.float32), (view.size, view.size, 3))
    slope = smoothstep(-2, 2, view.x * backdrop.tilt + view.y)
    unevenness = texture(backdrop.unevenness, view.x, view.y)
    return paint(wall, backdrop.far, np.clip(slope + 0.10 * unevenness, 0, 1))


def paint_body(person: Person, shot: Shot, view: View, image: Colours) -> Colours:
    """Neck and shoulders; they stay where they are when the head turns."""
    right, down = view.x - 0.12 * float(np.sin(shot.pose.yaw)), view.y
    lamp = shot.light.direction[0]
    neck_width = person.head.width * (0.54 + 0.09 * person.man) + 0.35 * smoothstep(1.0, 1.5, down) ** 2
    neck_shade = 0.68 - 0.38 * bump(down - 0.95, 0.22) + 0.25 * lamp * right
    neck = view.inside(neck_width - np.abs(right), 2) * (down > 0.3)
    image = paint(image, person.skin * neck_shade[..., None], neck)

    neckline = 0.10 * bump(right, 0.6) - (0.30 if person.necktie else 0.22) * bump(right, 0.2)
    shoulders = view.inside(down - 1.34 + neckline - 0.32 * (np.abs(right) / 1.35) ** 2.2, 2)
    drape = 0.78 + 0.25 * np.cos(right * 1.4 - lamp) - 0.06 * np.abs(np.sin(right * 5 + down))
    image = paint(image, person.cloth * drape[..., None], shoulders)
    return _paint_tie(person, view, right, down, image) if person.necktie else image


def _paint_tie(person: Person, view: View, right: Field, down: Field, image: Colours) -> Colours:
    beside = np.abs(right)
    collar = view.inside(down - 1.28 - 0.9 * np.maximum(0, 0.22 - beside), 2) * view.inside(0.38 - beside, 2)
    image = paint(image, COLLAR_RGB, collar * (down < 1.62 - 0.2 * beside))
    stripes = 0.9 + 0.2 * (np.sin((right + down) * 40) > 0)
    colour = TIE_COLOURS[(person.texture_seed + 1) % len(TIE_COLOURS)]
    tie = view.inside(0.075 + 0.04 * (down - 1.4) - beside, 1.5) * (down > 1.46)
    return paint(image, colour * stripes[..., None], tie)


def paint_ears(person: Person, shade: Field, view: View, image: Colours) -> Colours:
    """Ears; long hair covers them."""
    if person.long_hair:
        return image
    out = view.across - person.head.width
    outline = np.hypot((view.across - person.head.width * 0.98) / 0.10, (view.v - 0.10 - 0.1 * out) / 0.19)
    hollow = bump(np.hypot(out / 0.06, (view.v - 0.1) / 0.12) - 0.6, 0.25)
    colour = person.skin * (0.72 + 0.2 * shade - 0.25 * hollow)[..., None]
    return paint(image, colour, view.inside((1 - outline) * 0.1))
