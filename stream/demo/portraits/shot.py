"""One photo of a person: pose, expression, light, backdrop, hat and camera, drawn from a second seed."""

from dataclasses import dataclass

import numpy as np

from stream.demo.portraits.fields import Field, Rgb, knots, tint
from stream.demo.portraits.person import chance, uniform
from stream.demo.portraits.traits import CLOTH_COLOURS, Person, Style

PHOTO_STREAM = 11
POSE_SPREAD_RAD = (0.16, 0.08, 0.06)
POSE_LIMIT_RAD = 0.4
SMILE_SHOWN = 0.35
"""A smile above this is one that a caption mentions."""
BACKDROP_KNOTS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """How the head is turned and framed; angles in radians."""

    yaw: float
    pitch: float
    roll: float
    zoom: float
    """Size of a head unit over the size of the photo."""
    shift_x: float
    shift_y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """What the face does."""

    smile: float
    opened: float
    """How far the lips part."""
    gaze: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One lamp and what it does to skin."""

    direction: tuple[float, float, float]
    """Unit vector towards the lamp: right, down, out of the picture."""
    hardness: float
    gloss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """What stands behind the person: two colours that run into one another, unevenly."""

    near: Rgb
    far: Rgb
    tilt: float
    unevenness: Field
    """(BACKDROP_KNOTS, BACKDROP_KNOTS) support points of a texture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hat:
    """A beanie or a cap."""

    colour: Rgb
    beanie: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """What the camera makes of the light."""

    gamma: float
    gain: float
    white_balance: Rgb
    blur: float
    """Standard deviation in pixels of a 250-pixel photo."""
    noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Everything about a photo that the person does not bring along."""

    pose: Pose
    expression: Expression
    light: Light
    backdrop: Backdrop
    hat: Hat | None
    camera: Camera


def photo_numbers(seed: int, photo: int) -> np.random.Generator:
    """The random numbers of one photo of one person."""
    return np.random.default_rng([PHOTO_STREAM, seed, photo])


def draw_shot(rng: np.random.Generator, person: Person) -> Shot:
    """What happened when the photo was taken."""
    yaw, pitch, roll = np.clip(rng.normal(0, POSE_SPREAD_RAD), -POSE_LIMIT_RAD, POSE_LIMIT_RAD)
    zoom = uniform(rng, 0.30, 0.33)
    smile = uniform(rng, 0.35, 1.0) if chance(rng, 0.5) else uniform(rng, -0.08, 0.18)
    opened = max(0.0, smile - 0.4) * uniform(rng, 0.0, 0.2)
    wears_hat = chance(rng, 0.25 if person.style is Style.BALD else 0.12)
    gaze = uniform(rng, -0.25, 0.25)
    shift_x, shift_y = uniform(rng, -0.05, 0.05), uniform(rng, -0.05, 0.05)
    return Shot(
        pose=Pose(
            yaw=float(yaw), pitch=float(pitch), roll=float(roll), zoom=zoom, shift_x=shift_x, shift_y=shift_y
        ),
        expression=Expression(smile=smile, opened=opened, gaze=gaze),
        light=_light(rng),
        backdrop=_backdrop(rng),
        hat=_hat(rng) if wears_hat else None,
        camera=_camera(rng),
    )


def _light(rng: np.random.Generator) -> Light:
    azimuth, height = uniform(rng, -1.0, 1.0), uniform(rng, -0.75, -0.2)
    lamp = np.array([np.sin(azimuth) * 0.8, height, 1.1])
    right, down, out = (float(part) for part in lamp / np.linalg.norm(lamp))
    return Light(
        direction=(right, down, out), hardness=uniform(rng, 0.55, 0.9), gloss=uniform(rng, 0.04, 0.13)
    )


def _backdrop(rng: np.random.Generator) -> Backdrop:
    vivid = tint(uniform(rng, 0.3, 0.85), uniform(rng, 0.3, 0.85), uniform(rng, 0.3, 0.85))
    near = vivid * 0.55 + 0.45 * vivid.mean()
    return Backdrop(
        near=near,
        far=near * uniform(rng, 0.45, 0.9),
        tilt=uniform(rng, -1, 1),
        unevenness=knots(rng, BACKDROP_KNOTS, BACKDROP_KNOTS),
    )


def _hat(rng: np.random.Generator) -> Hat:
    return Hat(colour=CLOTH_COLOURS[int(rng.integers(len(CLOTH_COLOURS)))], beanie=chance(rng, 0.5))


def _camera(rng: np.random.Generator) -> Camera:
    return Camera(
        gamma=uniform(rng, 0.76, 1.08),
        gain=uniform(rng, 0.9, 1.12),
        white_balance=tint(1 + uniform(rng, -0.05, 0.05), 1, 1 + uniform(rng, -0.06, 0.06)),
        blur=uniform(rng, 0.35, 1.0),
        noise=uniform(rng, 0.004, 0.018),
    )
