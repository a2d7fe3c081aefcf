"""Person and photo put together, from the wall behind to the camera's noise."""

import numpy as np
import numpy.typing as npt

from stream.demo.portraits.accessories import paint_earrings, paint_glasses, paint_hat
from stream.demo.portraits.attributes import Attributes, attributes_of
from stream.demo.portraits.clothes import paint_backdrop, paint_body, paint_ears
from stream.demo.portraits.eyes import paint_eyes
from stream.demo.portraits.fields import Colours, Field, paint, tint
from stream.demo.portraits.hair import comb, paint_hair, paint_hair_behind
from stream.demo.portraits.mouth import lip_gloss, paint_mouth, shape_lips
from stream.demo.portraits.person import draw_person, uniform
from stream.demo.portraits.relief import light_face
from stream.demo.portraits.shot import Camera, Shot, draw_shot, photo_numbers
from stream.demo.portraits.skin import paint_face_hair, paint_skin
from stream.demo.portraits.traits import Person
from stream.demo.portraits.view import View, look_at
from stream.features.cv import cv2

REFERENCE_SIZE_PX = 250
"""The camera's blur is given for photos of this size."""
SHADOW_WARMTH = tint(0.85, 1.05, 1.12)
"""Exponents of the shade per channel: light that has gone through skin is redder."""
VIGNETTE = 0.03
JPEG_QUALITY = (60, 95)


def portrait_jpeg(seed: int, photo: int = 0, size: int = REFERENCE_SIZE_PX) -> tuple[bytes, Attributes]:
    """One photo of a person who does not exist.

    Args:
        seed: The person.
        photo: Which photo of that person: pose, light, expression, hat, backdrop and camera differ.
        size: Width and height in pixels.

    Returns:
        The camera's JPEG, and what is true of it.
    """
    person = draw_person(seed)
    rng = photo_numbers(seed, photo)
    shot = draw_shot(rng, person)
    view = look_at(person, shot.pose, size)
    return _develop(_scene(person, shot, view), shot.camera, view, rng), attributes_of(person, shot)


def portrait(
    seed: int, photo: int = 0, size: int = REFERENCE_SIZE_PX
) -> tuple[npt.NDArray[np.uint8], Attributes]:
    """The pixels of `portrait_jpeg`: (size, size, 3) uint8 BGR."""
    jpeg, attributes = portrait_jpeg(seed, photo, size)
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(pixels, np.uint8), attributes


def _scene(person: Person, shot: Shot, view: View) -> Colours:
    strands = comb(person, shot.light, view)
    image = paint_backdrop(shot.backdrop, view)
    image = paint_hair_behind(person, strands, view, image)
    image = paint_body(person, shot, view, image)
    image = paint_ears(person, strands.shade, view, image)
    image = paint(image, _face(person, shot, view), view.face)
    image = paint_earrings(person, view, image)
    image = paint_hair(person, strands, view, image)
    image = paint_glasses(person, view, image)
    return paint_hat(shot.hat, person, strands, view, image)


def _face(person: Person, shot: Shot, view: View) -> Colours:
    relief = light_face(person, shot.expression, shot.light, view)
    lips = shape_lips(person.mouth, shot.expression, view)
    skin = paint_skin(person, view, relief)
    skin = paint_face_hair(person, shot.expression, lips, view, skin)
    skin = paint_mouth(person, shot.expression, lips, view, skin)
    gloss: Field = relief.gloss + lip_gloss(person, shot.expression, lips, view)
    lit = skin * relief.shade[..., None] ** SHADOW_WARMTH + gloss[..., None]
    return paint_eyes(person, shot, relief.shade, view, lit)


def _develop(scene: Colours, camera: Camera, view: View, rng: np.random.Generator) -> bytes:
    image = np.clip(scene, 0, 1) ** camera.gamma * camera.gain * camera.white_balance
    image = image * (1 - VIGNETTE * (view.x**2 + view.y**2))[..., None]
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), camera.blur * view.size / REFERENCE_SIZE_PX)
    image = image + rng.normal(0, camera.noise, image.shape).astype(np.float32)
    pixels = (np.clip(image, 0, 1)[..., ::-1] * 255).astype(np.uint8)
    quality = int(uniform(rng, *JPEG_QUALITY))
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return jpeg.tobytes()
