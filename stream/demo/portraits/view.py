"""Which point of the frontal head each pixel sees: the pose, undone."""

from dataclasses import dataclass

import numpy as np

from stream.demo.portraits.fields import Field, bump, smoothstep
from stream.demo.portraits.shot import Pose
from stream.demo.portraits.traits import Nose, Person

POSE_STEPS = 5
"""Fixed-point steps; the turn moves a pixel by less than a tenth of a pixel after four."""
PIVOT_DEPTH = 0.35
"""The head turns about a point this far behind its front."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The pixel grid of one photo, in head units."""

    size: int
    pixel: float
    """Width of a pixel."""
    x: Field
    y: Field
    """The picture plane, upright: what clothes and backdrop are drawn in."""
    u: Field
    v: Field
    """The frontal head: what everything that turns with the head is drawn in."""
    across: Field
    """|u|: the face is symmetric."""
    side: Field
    """Sign of u."""
    radius: Field
    """0 at the origin, 1 on the outline of the face."""
    face: Field
    """1 inside of the face."""

    def inside(self, depth: Field, softness: float = 1.0) -> Field:
        """1 where `depth` is positive, 0 where negative, with an edge of `softness` pixels to either side."""
        return smoothstep(-softness * self.pixel, softness * self.pixel, depth)


def nose_relief(nose: Nose, u: Field, v: Field) -> Field:
    """How far the nose stands out."""
    root = smoothstep(-0.12, nose.length - 0.03, v)
    tip = 1 - smoothstep(nose.length, nose.length + 0.11, v)
    return nose.depth * bump(u, nose.half_width * 0.75) * root * tip


def look_at(person: Person, pose: Pose, size: int) -> View:
    """The view of a person in a pose, on `size` × `size` pixels."""
    pixel = 1 / (size * pose.zoom)
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    x = columns * pixel - size * pixel / 2 - pose.shift_x
    y = rows * pixel - size * pixel / 2 - pose.shift_y
    u, v = _undo_turn(person, pose, x, y)
    across = np.abs(u)
    radius = _radius(person, across, v)
    depth = (1 - radius) * person.head.width
    return View(
        size=size,
        pixel=pixel,
        x=x,
        y=y,
        u=u,
        v=v,
        across=across,
        side=np.sign(u),
        radius=radius,
        face=smoothstep(-pixel, pixel, depth),
    )


def _undo_turn(person: Person, pose: Pose, x: Field, y: Field) -> tuple[Field, Field]:
    """Solves for the point of the frontal head that the turn has brought to each pixel."""
    cosine, sine = float(np.cos(pose.roll)), float(np.sin(pose.roll))
    upright_x, upright_y = cosine * x + sine * y, cosine * y - sine * x
    yaw_shift, yaw_scale = float(np.sin(pose.yaw)), float(np.cos(pose.yaw))
    pitch_shift, pitch_scale = float(np.sin(pose.pitch)), float(np.cos(pose.pitch))
    u, v = upright_x, upright_y
    for _ in range(POSE_STEPS):
        depth = 0.72 * np.exp(-0.55 * ((u / person.head.width) ** 2 + v**2))
        depth = depth + 0.5 * nose_relief(person.nose, u, v) - PIVOT_DEPTH
        u, v = (upright_x - depth * yaw_shift) / yaw_scale, (upright_y - depth * pitch_shift) / pitch_scale
    return u, v


def _radius(person: Person, across: Field, v: Field) -> Field:
    """The outline: a superellipse, tapered towards jaw and crown."""
    head = person.head
    jaw = (1 - head.jaw) * smoothstep(0.0, 0.85, v)
    crown = 0.10 * smoothstep(-0.3, -1.0, v)
    jowl = person.bones.jowl * 0.5 * bump(v - 0.45, 0.25)
    width = head.width * (1 - jaw - crown + jowl)
    height = np.where(v > 0, np.float32(head.chin), np.float32(1))
    power = head.squareness
    radius: Field = np.power(np.power(across / width, power) + np.power(np.abs(v) / height, power), 1 / power)
    return radius
