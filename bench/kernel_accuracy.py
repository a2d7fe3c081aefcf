"""What a variant of the kernel recognises: labelled photos, and scenes of 1080p with small faces."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from index.evaluation import Measure, Searches, fnir_at_fpir, rank1, with_interval
from stream.demo.people import LabelledPhoto, Role
from stream.evaluation.degrade import Box
from stream.evaluation.scenes import in_scene
from stream.features.cv import cv2
from stream.features.encoders import FaceEncoder
from stream.features.faces import Face, by_prominence
from stream.features.networks import BgrImage, FloatArray

FPIR = 0.01
SEED = 20260
FACE_HEIGHTS_PX = (24, 32, 48, 64, 96, 128, 200, 400)


def pixels(data: bytes) -> BgrImage:
    """The image in a file."""
    image: BgrImage = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return image


def foremost(encoder: FaceEncoder, image: BgrImage) -> Face | None:
    """The face that is meant."""
    faces = by_prominence(encoder.detect(image), image)
    return faces[0] if faces else None


def vector(encoder: FaceEncoder, image: BgrImage) -> FloatArray | None:
    """The unit vector of the face that is meant."""
    face = foremost(encoder, image)
    found = None if face is None else encoder.embed(image, face)
    return None if found is None else unit(found)


def unit(rows: FloatArray) -> FloatArray:
    """Each row at length 1."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """A gallery of mean templates, centred on the mean of the enrolled."""

    mean: FloatArray
    names: Sequence[str]
    templates: FloatArray
    """(N, D)"""

    def search(self, vector: FloatArray) -> tuple[str, float]:
        """Rank 1 and its cosine."""
        scores = self.templates @ unit(vector - self.mean)
        best = int(scores.argmax())
        return self.names[best], float(scores[best])


def enrol(photos: Sequence[LabelledPhoto], vectors: Sequence[FloatArray | None]) -> People:
    """The gallery of the photos with the enrol role."""
    of_name: dict[str, list[FloatArray]] = defaultdict(list)
    for photo, found in zip(photos, vectors, strict=True):
        if photo.role is Role.ENROL and found is not None:
            of_name[photo.identity_id].append(found)
    mean = np.mean([v for found in of_name.values() for v in found], axis=0)
    templates = [unit(np.mean(unit(np.array(found) - mean), axis=0)) for found in of_name.values()]
    return People(mean=mean, names=list(of_name), templates=np.array(templates))


def vectors_of(encoder: FaceEncoder, photos: Sequence[LabelledPhoto]) -> list[FloatArray | None]:
    """One a photo."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda p: vector(encoder, pixels(p.photo.read())), photos))


def accuracy(photos: Sequence[LabelledPhoto], vectors: Sequence[FloatArray | None]) -> dict[str, Any]:
    """Rank-1 and FNIR at the strangers' own quantile, with 95 % intervals, and how many showed no face."""
    people = enrol(photos, vectors)
    probes = [
        (photo, people.search(found) if found is not None else ("", -np.inf))
        for photo, found in zip(photos, vectors, strict=True)
        if photo.role is not Role.ENROL
    ]
    mated = np.array([photo.role is Role.PROBE for photo, _ in probes])
    right = np.array([photo.identity_id == name for photo, (name, _) in probes]) & mated
    searches = Searches(
        identities=np.array([photo.identity_id for photo, _ in probes]),
        mated=mated,
        mate_rank=right.astype(np.int64),
        score=np.array([score for _, (_, score) in probes]),
        probability=np.zeros(len(probes)),
    )
    n = searches.mated_count
    interval = partial(with_interval, identities=searches.identities, n=n, seed=SEED)
    return {
        "rank1": _said(interval(partial(rank1, searches))),
        f"fnir_at_{FPIR}": _said(interval(partial(fnir_at_fpir, searches, FPIR))),
        "missed": sum(found is None for found in vectors),
        "mated": n,
        "non_mated": searches.non_mated_count,
    }


def scenes(
    encoders: Mapping[str, FaceEncoder], finder: FaceEncoder, people: People, photos: Sequence[LabelledPhoto]
) -> dict[str, dict[int, dict[str, float]]]:
    """By variant and face height: the shares of scenes whose face was missed, and whose person was rank 1.

    Args:
        encoders: The variants.
        finder: Says where the face is in the photo that is put into a scene.
        people: The gallery that is searched.
        photos: Of enrolled people, one scene of each at each height.
    """
    report: dict[str, dict[int, dict[str, float]]] = {name: {} for name in encoders}
    for height in FACE_HEIGHTS_PX:
        missed, right = defaultdict(list), defaultdict(list)
        for seed, photo in enumerate(photos):
            image = pixels(photo.photo.read())
            face = foremost(finder, image)
            if face is None:
                continue
            box = Box(left=face.left, top=face.top, width=face.width, height=face.height)
            scene, truth = in_scene(image, box, face_height_px=height, seed=seed)
            for name, encoder in encoders.items():
                found = foremost(encoder, scene)
                hit = found is not None and _centred(found, truth)
                embedding = encoder.embed(scene, found) if found is not None and hit else None
                missed[name].append(not hit)
                right[name].append(
                    embedding is not None and people.search(unit(embedding))[0] == photo.identity_id
                )
        for name in encoders:
            report[name][height] = {
                "missed": round(float(np.mean(missed[name])), 3),
                "rank1": round(float(np.mean(right[name])), 3),
            }
    return report


def _centred(face: Face, truth: Box) -> bool:
    across = face.left + face.width / 2 - truth.left - truth.width / 2
    down = face.top + face.height / 2 - truth.top - truth.height / 2
    return abs(across) < truth.width / 2 and abs(down) < truth.height / 2


def _said(measure: Measure) -> dict[str, Any]:
    return {
        "value": round(measure.value, 4),
        "interval": [round(measure.low, 4), round(measure.high, 4)],
    }
