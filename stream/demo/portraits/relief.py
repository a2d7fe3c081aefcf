"""The shape of the face as a height field, and the light that falls on it."""

from dataclasses import dataclass

import numpy as np

from stream.demo.portraits.fields import Field, bump, knots, smoothstep, texture
from stream.demo.portraits.shot import Expression, Light
from stream.demo.portraits.traits import Person
from stream.demo.portraits.view import View, nose_relief
from stream.features.cv import cv2

BONE_TEXTURE = 0
GLOSS_POWER = 24
RELIEF_BLUR_PX = 0.9
"""Takes the stairs out of the height field before its slopes are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """The lit face."""

    folds: Field
    """Depth of the folds from nose to mouth; skin is darker in them."""
    shade: Field
    """Factor on the colours."""
    gloss: Field
    """Added to the colours."""


def light_face(person: Person, expression: Expression, light: Light, view: View) -> Relief:
    """The face's own relief under the lamp."""
    folds = _folds(person, expression, view)
    height = _skull(person, view) + _features(person, expression, view) - folds
    height = height - _wrinkles(person, view)
    bone = texture(knots(person.textures(BONE_TEXTURE), 9, 9), view.across, view.v)
    height = height + 0.022 * bone * smoothstep(1, 0.7, view.radius)

    smooth = cv2.GaussianBlur(height.astype(np.float32), (0, 0), RELIEF_BLUR_PX)
    down, right = np.gradient(smooth, view.pixel)
    lamp_right, lamp_down, lamp_out = light.direction
    cosine = (lamp_out - right * lamp_right - down * lamp_down) / np.sqrt(1 + right * right + down * down)
    lit = np.clip(cosine, 0, 1)
    return Relief(
        folds=folds,
        shade=1.02 - light.hardness + light.hardness * (0.25 + 0.85 * lit),
        gloss=light.gloss * lit**GLOSS_POWER,
    )


def _skull(person: Person, view: View) -> Field:
    inside = np.minimum(view.radius, 0.999)
    dome: Field = 0.62 * np.sqrt(np.maximum(1 - inside * inside, 0) + 0.004)
    return dome + nose_relief(person.nose, view.u, view.v)


def _features(person: Person, expression: Expression, view: View) -> Field:
    """Nostrils, eye sockets, lids, brow ridge, cheeks, lips, chin."""
    u, v, across = view.u, view.v, view.across
    eyes, nose, mouth, bones = person.eyes, person.nose, person.mouth, person.bones
    smile = max(expression.smile, 0)
    from_eye, below_eye = across - eyes.apart, v - eyes.height
    chin = person.head.chin
    return (
        0.06
        * (1 + nose.nostrils)
        * bump(across - nose.half_width * 0.95, 0.045)
        * bump(v - nose.length - 0.01, 0.05)
        - 0.11 * bump(from_eye + 0.04, 0.13) * bump(below_eye + 0.01, 0.095)
        + 0.045 * bump(from_eye, eyes.half_width * 0.6) * bump(below_eye, 0.05)
        + bones.brow_ridge
        * bump(across - eyes.apart * 0.9, 0.16)
        * bump(below_eye + person.brows.above_eye, 0.06)
        + bones.cheek
        * bump(across - bones.cheek_apart, 0.14)
        * bump(v - 0.27 + 0.05 * expression.smile, 0.13)
        + (0.02 + 0.05 * smile) * bump(across - 0.38, 0.1) * bump(v - 0.33, 0.09)
        + 0.05 * bump(u, 0.17) * bump(v - mouth.height, 0.09)
        - 0.035 * bump(u, 0.15) * bump(v - mouth.height - 0.13, 0.035)
        + 0.08 * bump(u, 0.17) * bump(v - 0.88 * chin, 0.10)
        - 0.4 * bones.cleft * bump(u, 0.02) * bump(v - 0.88, 0.06)
        - 0.02 * bump(u, 0.025) * bump(v - (nose.length + mouth.height) / 2, 0.05)
    )


def _folds(person: Person, expression: Expression, view: View) -> Field:
    nose, mouth = person.nose.length, person.mouth.height
    depth = 0.018 * person.older + 0.022 * max(expression.smile, 0)
    along = smoothstep(nose - 0.05, nose + 0.08, view.v) * (
        1 - smoothstep(mouth - 0.02, mouth + 0.10, view.v)
    )
    return depth * along * bump(view.across - (0.17 + 0.55 * (view.v - nose)), 0.022)


def _wrinkles(person: Person, view: View) -> Field:
    u, v, across = view.u, view.v, view.across
    eyes = person.eyes
    wrinkles: Field = np.zeros_like(v)
    if person.older:
        forehead = (
            np.maximum(np.sin((v + 0.03 * np.cos(u * 4)) * 48), 0) ** 3 * bump(v + 0.48, 0.10) * bump(u, 0.3)
        )
        frown = bump(across - 0.06 - 0.1 * (eyes.height - v), 0.012) * bump(v - eyes.height + 0.18, 0.06)
        wrinkles = 0.006 * forehead + 0.010 * frown
    if person.bags:
        out, down = eye_frame(person, view)
        wrinkles = wrinkles + 0.016 * bump(out + 0.01, 0.09) * bump(down - 0.115 + 1.2 * out**2, 0.016)
    return wrinkles


def eye_frame(person: Person, view: View) -> tuple[Field, Field]:
    """Outwards from the nearer eye's centre, and down along its slant."""
    out = view.across - person.eyes.apart
    return out, view.v - person.eyes.height + person.eyes.slant * out
