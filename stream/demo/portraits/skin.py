"""Bare skin with everything that grows on it: blush, freckles, shadows, beard, brows."""

import numpy as np

from stream.demo.portraits.fields import Colours, Field, Rgb, bump, knots, paint, smoothstep, texture, tint
from stream.demo.portraits.mouth import Lips
from stream.demo.portraits.relief import Relief, eye_frame
from stream.demo.portraits.shot import Expression
from stream.demo.portraits.traits import HAIR_RGB, FacialHair, HairColour, Person
from stream.demo.portraits.view import View

MOTTLING_TEXTURE, PORES_TEXTURE, FRECKLES_TEXTURE, STRANDS_TEXTURE, BEARD_EDGE_TEXTURE = 1, 2, 3, 4, 5

BLUSH = tint(1.0, 0.76, 0.74)
UNDER_EYE = tint(0.62, 0.5, 0.5)
CREASE = tint(0.55, 0.42, 0.4)
MOLE_RGB = (0.2, 0.12, 0.1)
MOLE_RADIUS = 0.018
BEARD_STRENGTH = {FacialHair.BEARD: 0.93, FacialHair.STUBBLE: 0.35 * 0.93}
MOUSTACHE_STRENGTH = BEARD_STRENGTH | {FacialHair.MOUSTACHE: 0.93}


def paint_skin(person: Person, view: View, relief: Relief) -> Colours:
    """The face with nothing on it but skin."""
    skin = np.broadcast_to(person.skin.astype(np.float32), (view.size, view.size, 3))
    skin = _blush(person, view, skin)
    skin = _marks(person, view, skin)
    return _shadows(person, view, relief, skin)


def _blush(person: Person, view: View, skin: Colours) -> Colours:
    u, v, across, nose = view.u, view.v, view.across, person.nose
    cheeks = 0.45 * bump(across - 0.42, 0.16) * bump(v - 0.30, 0.13)
    tip = 0.4 * bump(u, nose.half_width) * bump(v - nose.length, 0.07)
    mottling = texture(knots(person.textures(MOTTLING_TEXTURE), 23, 23), u, v)
    pores = texture(knots(person.textures(PORES_TEXTURE), 90, 90), u, v)
    return paint(skin, person.skin * BLUSH, cheeks + tip) * (1 + 0.018 * mottling + 0.012 * pores)[..., None]


def _marks(person: Person, view: View, skin: Colours) -> Colours:
    u, v = view.u, view.v
    if person.freckles:
        specks = smoothstep(1.3, 1.9, texture(knots(person.textures(FRECKLES_TEXTURE), 110, 110), u, v))
        where = bump(v - 0.2, 0.16) * bump(view.across - 0.25, 0.25)
        skin = paint(skin, person.skin * 0.72, 0.6 * specks * where)
    if person.mole is not None:
        away = np.hypot(u - person.mole[0] * person.head.width, v - person.mole[1])
        skin = paint(skin, MOLE_RGB, 0.8 * view.inside(MOLE_RADIUS - away))
    return skin


def _shadows(person: Person, view: View, relief: Relief, skin: Colours) -> Colours:
    v, across, nose = view.v, view.across, person.nose
    out, down = eye_frame(person, view)
    under_eye = (0.35 + 0.35 * person.bags) * bump(out + 0.01, 0.11) * bump(down - 0.07, 0.035)
    skin = paint(skin, person.skin * UNDER_EYE, under_eye)
    nostril_height = nose.length + 0.055 - 0.12 * (across - nose.half_width * 0.5)
    nostrils = bump(across - nose.half_width * 0.55, 0.03) * bump(v - nostril_height, 0.016)
    skin = paint(skin, person.skin * 0.22, 0.95 * nostrils)
    wings = 0.4 * bump(across - nose.half_width * 1.25, 0.016) * bump(v - nose.length, 0.04)
    return paint(skin, person.skin * CREASE, wings + 0.6 * np.clip(relief.folds * 18, 0, 0.6))


def face_hair_rgb(person: Person) -> Rgb:
    """Brows and beard are darker than the hair of the head."""
    pale = person.hair_colour in {HairColour.BLOND, HairColour.GRAY}
    return HAIR_RGB[person.hair_colour] * (0.55 if pale else 0.8)


def paint_face_hair(person: Person, expression: Expression, lips: Lips, view: View, skin: Colours) -> Colours:
    """Beard, moustache and brows on the skin."""
    strands = texture(
        knots(person.textures(STRANDS_TEXTURE), 170, 40), view.u + 0.25 * view.v * view.side, view.v
    )
    dark = face_hair_rgb(person)
    hairs = dark * (1 + 0.25 * strands[..., None])
    if person.facial_hair in BEARD_STRENGTH:
        mask = _beard(person, lips, view) * BEARD_STRENGTH[person.facial_hair]
        skin = paint(skin, hairs, mask)
    if person.facial_hair in MOUSTACHE_STRENGTH:
        mask = _moustache(person, expression, lips, view, strands) * MOUSTACHE_STRENGTH[person.facial_hair]
        skin = paint(skin, hairs, mask)
    return paint(skin, dark * 0.85, _brows(person, expression, view, strands))


def _beard(person: Person, lips: Lips, view: View) -> Field:
    v, across = view.v, view.across
    edge = 0.60 - 0.58 * (across / person.head.width) ** 2.5
    edge = edge - 0.035 * texture(knots(person.textures(BEARD_EDGE_TEXTURE), 40, 40), view.u, v)
    jaw = smoothstep(-0.05, 0.07, v - edge) * smoothstep(1.08, 1.0, view.radius)
    sides = smoothstep(0.02, -0.02, np.abs(across - lips.half_width - 0.05) - 0.05)
    nose = person.nose.length
    sides = sides * smoothstep(nose + 0.05, nose + 0.12, v) * (v < 0.8)
    bare_chin = 1 - 0.6 * bump(view.u, 0.1) * bump(v - person.mouth.height - 0.14, 0.03)
    return np.clip(jaw + sides, 0, 1) * (1 - lips.mask) * bare_chin


def _moustache(person: Person, expression: Expression, lips: Lips, view: View, strands: Field) -> Field:
    middle = person.mouth.height - person.mouth.upper - 0.055
    droop = view.v - middle - 0.04 * lips.corner**2 - lips.lift(expression) * 0.7 + 0.006 * strands
    body = smoothstep(-0.02, 0.02, 0.035 + 0.02 * lips.corner - np.abs(droop))
    ends = smoothstep(1.25, 1.05, view.across / lips.half_width)
    return body * ends * (1 - 0.5 * bump(view.u, 0.018))


def _brows(person: Person, expression: Expression, view: View, strands: Field) -> Field:
    brows, eyes = person.brows, person.eyes
    out = view.across - eyes.apart
    along = out / brows.half_width
    arch = brows.arch * np.clip((out - 0.05) / brows.half_width, -2, 2) ** 2
    above = view.v - eyes.height + brows.above_eye + 0.006 * expression.smile + brows.tilt * out - arch
    thickness = brows.thickness * np.clip(1.05 - 0.45 * (along + 0.6), 0.25, 1.2)
    body = smoothstep(-0.016, 0.010, thickness - np.abs(above) + 0.006 * strands)
    return body * smoothstep(1.12, 0.92, np.abs(along)) * (0.88 if person.man else 0.8)
