"""CPU time of one photo, stage by stage, on each backend, measured in turns in one run.

Photos come from a folder with a manifest. Each backend makes the vector of each photo in turn, so that
whatever else the machine does strikes both alike; CPU time of the process is counted, not wall time.

    python bench/kernel.py --pack faceplugin [--json]
"""

import argparse
import json
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from labelled_features import DEFAULT_DATA

from stream.demo.folders import read_people
from stream.features.encoders import FaceEncoder, load_encoder
from stream.features.extractor import Unusable
from stream.features.faces import align, by_prominence
from stream.features.guards import ImageLimits, inspect_image
from stream.features.image import decode
from stream.features.models import pack_folder, pack_named
from stream.features.networks import Backend, FloatArray, to_blob
from stream.worker.settings import Settings

T = TypeVar("T")
WARM_UP = 3


class Stages:
    """Milliseconds of CPU, by stage."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = defaultdict(list)

    def timed(self, stage: str, call: Callable[[], T]) -> T:
        """The answer of a call whose CPU time is noted."""
        started = time.process_time_ns()
        answer = call()
        self.ms[stage].append((time.process_time_ns() - started) / 1e6)
        return answer


def one_photo(data: bytes, encoder: FaceEncoder, stages: Stages) -> FloatArray | None:
    """The unit vector of one photo, as `ImageExtractor` makes it, with every stage timed."""
    header = stages.timed("guard", lambda: inspect_image("image/jpeg", data, ImageLimits()))
    if isinstance(header, Unusable):
        return None
    image = stages.timed("decode", lambda: decode(data, header))
    if isinstance(image, Unusable):
        return None
    faces = by_prominence(stages.timed("detect", lambda: encoder.detect(image)), image)
    points = stages.timed("landmarks", lambda: encoder.landmark(image, faces[0])) if faces else None
    if points is None:
        return None
    crop = stages.timed("align", lambda: align(image, points))
    blob = stages.timed("normalise", lambda: to_blob(crop, mean=encoder.mean, std=encoder.std))
    (embedding,) = stages.timed("embed", lambda: encoder.network(blob))
    vector: FloatArray = embedding.ravel() / np.linalg.norm(embedding)
    return vector


def measure(data: Path, pack_name: str, photos: int) -> dict[str, Any]:
    """The report, as one JSON object."""
    pack = pack_named(pack_name)
    folder = pack_folder(pack, Settings().cache_dir)
    encoders = {backend: load_encoder(pack, folder, backend) for backend in Backend}
    contents = [p.photo.read() for p in read_people(data)[:photos]]
    for warm in contents[:WARM_UP]:
        for encoder in encoders.values():
            one_photo(warm, encoder, Stages())
    stages = {backend: Stages() for backend in Backend}
    cosines = []
    for content in contents:
        vectors = [one_photo(content, encoders[backend], stages[backend]) for backend in Backend]
        if all(v is not None for v in vectors):
            cosines.append(float(np.dot(*vectors)))
    return {
        "pack": pack_name,
        "photos": len(contents),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "cpu_ms_per_photo": {
            backend.value: {
                **{stage: round(float(np.mean(ms)), 3) for stage, ms in of.ms.items()},
                "total": round(sum(float(np.mean(ms)) for ms in of.ms.values()), 3),
            }
            for backend, of in stages.items()
        },
        "cosine_between_backends": {
            "smallest": round(min(cosines), 6),
            "mean": round(float(np.mean(cosines)), 6),
        },
    }


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--pack", default="faceplugin")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    found = measure(args.data, args.pack, args.photos)
    if args.json:
        json.dump(found, sys.stdout, indent=2)
        print()
        return
    rows = found["cpu_ms_per_photo"]
    print(f"{found['pack']}, {found['photos']} photos, {found['machine']}: CPU ms per photo")
    print(f"{'':<12}" + "".join(f"{backend:>14}" for backend in rows))
    for stage in next(iter(rows.values())):
        print(f"{stage:<12}" + "".join(f"{row[stage]:>14.3f}" for row in rows.values()))
    print(f"cosine between the backends: {found['cosine_between_backends']}")


if __name__ == "__main__":
    main()
