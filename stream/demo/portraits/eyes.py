"""Eyeballs, lids and lashes."""

import numpy as np

from stream.demo.portraits.fields import Colours, Field, bump, paint, smoothstep, tint
from stream.demo.portraits.relief import eye_frame
from stream.demo.portraits.shot import Light, Shot
from stream.demo.portraits.traits import Person
from stream.demo.portraits.view import View

IRIS_RADIUS = 0.066
PUPIL_RGB = (0.03, 0.03, 0.03)
LASH_RGB = (0.07, 0.05, 0.05)
WHITE = tint(1, 0.97, 0.95) * 0.93
LID_CREASE = tint(0.5, 0.36, 0.34) * 0.8


def paint_eyes(person: Person, shot: Shot, shade: Field, view: View, face: Colours) -> Colours:
    """Both eyes on a lit face."""
    out, down = eye_frame(person, view)
    half_width = person.eyes.half_width
    opening = person.eyes.opening * (1 - 0.22 * max(shot.expression.smile, 0))
    along = np.clip(out / half_width, -1, 1)
    bend = np.abs(along)
    upper_lid = -opening * (1 - bend**2.2) ** 0.75 * (1 + 0.12 * along)
    lower_lid = opening * 0.72 * (1 - bend**2.6) ** 0.8
    open_eye = (
        view.inside(down - upper_lid) * view.inside(lower_lid - down) * view.inside(half_width - np.abs(out))
    )

    ball = _eyeball(person, shot, opening, bend, view)
    face = paint(face, ball * (0.55 + 0.5 * np.clip(shade, 0, 1)[..., None]), open_eye)

    lash_width = 0.010 if person.man else 0.016
    lashes = bump(down - upper_lid + 0.006, lash_width) * smoothstep(1.12, 0.95, bend)
    lashes = lashes * (np.abs(out) < half_width * 1.08) * (0.8 if person.man else 1.0)
    face = paint(face, LASH_RGB, lashes)
    within = np.abs(out) < half_width
    face = paint(face, person.skin * 0.42, 0.35 * bump(down - lower_lid - 0.004, 0.007) * within)
    crease = 0.55 * bump(down - upper_lid * 1.15 + 0.04, 0.010) * (1 - bend**4) * within
    return paint(face, person.skin * LID_CREASE, crease)


def _eyeball(person: Person, shot: Shot, opening: float, bend: Field, view: View) -> Colours:
    out, down = eye_frame(person, view)
    gaze = shot.expression.gaze * 0.05
    turn = gaze + 0.03 * float(np.sin(shot.pose.yaw))
    from_pupil = np.hypot(out - turn * view.side, down + 0.008)
    roundness = 0.62 + 0.38 * smoothstep(-opening * 1.1, 0.01, down) - 0.18 * bend**3
    ball = WHITE * roundness[..., None]
    ball = paint(ball, person.eye_colour * 0.45, view.inside(IRIS_RADIUS - from_pupil))
    iris = view.inside(IRIS_RADIUS * 0.84 - from_pupil, 2) * (0.45 + 0.45 * smoothstep(-0.05, 0.05, down))
    ball = paint(ball, person.eye_colour * 1.25, iris)
    ball = paint(ball, PUPIL_RGB, view.inside(IRIS_RADIUS * 0.42 - from_pupil))
    return paint(ball, (1, 1, 1), 0.9 * view.inside(0.016 - _from_glint(person, gaze, shot.light, view)))


def _from_glint(person: Person, gaze: float, light: Light, view: View) -> Field:
    """Way from the lamp's reflection: on the same side of both eyes, unlike everything else in them."""
    out, down = eye_frame(person, view)
    away: Field = np.hypot(out * view.side - gaze - light.direction[0] * 0.045, down + 0.035)
    return away
