"""CPU time of one photo to its vector, by variant and stage; and what each variant recognises.

The variants take turns every ten photos, so that whatever else the machine does strikes all alike; CPU time
of the process is counted, not wall time, and medians are told. Compare the ratios: the milliseconds are this
machine's, in this hour. `--accuracy` adds rank-1, FNIR and missed faces; `--scenes` adds faces of 24 to 400
pixels in 1080p. A variant made by `sightline models quantise` is a row by itself.

    python bench/kernel.py --pack faceplugin --accuracy --scenes [--json]
"""

import argparse
import json
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from kernel_accuracy import accuracy, enrol, scenes, unit, vectors_of
from labelled_features import DEFAULT_DATA

from stream.demo.folders import read_people
from stream.demo.people import Role
from stream.features.detectors import SlimDetector, YuNetDetector
from stream.features.encoders import FaceEncoder, load_encoder
from stream.features.errors import ModelError
from stream.features.extractor import Unusable
from stream.features.faces import align, by_prominence
from stream.features.guards import ImageLimits, inspect_image
from stream.features.image import decode
from stream.features.models import pack_folder, pack_named
from stream.features.networks import Backend, FloatArray, to_blob
from stream.worker.settings import Settings

T = TypeVar("T")
BLOCK = 10
"""Photos in a row on one variant, as in service, before it is the next one's turn."""
SHIPPED = "onnxruntime"
BASELINE = "opencv"
LABELLED = frozenset({Role.ENROL, Role.PROBE, Role.STRANGER})


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
    return unit(embedding.ravel())


def searching(encoder: FaceEncoder, sides_px: Callable[[tuple[int, ...]], tuple[int, ...]]) -> FaceEncoder:
    """The same encoder whose detector searches at other sizes."""
    detect = encoder.detect
    if not isinstance(detect, SlimDetector | YuNetDetector):
        raise TypeError(f"{type(detect).__name__} has no sizes")
    return replace(encoder, detect=replace(detect, sides_px=sides_px(detect.sides_px)))


def variants(pack_name: str, cache_dir: Path) -> Mapping[str, FaceEncoder]:
    """Every row, by name."""
    pack = pack_named(pack_name)
    folder = pack_folder(pack, cache_dir)
    shipped = load_encoder(pack, folder, Backend.ONNXRUNTIME)
    rows = {
        BASELINE: load_encoder(pack, folder, Backend.OPENCV),
        SHIPPED: shipped,
        "from 160 px": searching(shipped, lambda sides: (160, *sides)),
    }
    try:
        small = pack_named(f"{pack_name}-int8", cache_dir)
    except ModelError:
        return rows
    rows["int8"] = load_encoder(small, pack_folder(small, cache_dir), Backend.ONNXRUNTIME)
    rows["int8, 160 px"] = searching(rows["int8"], lambda sides: (160, *sides))
    return rows


def cpu_time(rows: Mapping[str, FaceEncoder], contents: list[bytes]) -> dict[str, Any]:
    """By variant: median milliseconds of each stage and in all, the ratio to the baseline, and the cosine."""
    stages = {name: Stages() for name in rows}
    vectors: dict[str, list[FloatArray | None]] = {name: [] for name in rows}
    for start in range(0, len(contents), BLOCK):
        block = contents[start : start + BLOCK]
        for name, encoder in rows.items():
            one_photo(block[0], encoder, Stages())  # its weights are in the caches again
            vectors[name] += [one_photo(content, encoder, stages[name]) for content in block]
    # A photo without a face lacks the later stages: only whole ones have a total.
    totals = {
        name: np.sum([ms for ms in of.ms.values() if len(ms) == len(contents)], axis=0)
        for name, of in stages.items()
    }
    report = {}
    for name, of in stages.items():
        ratios = totals[name] / totals[BASELINE]
        pairs = zip(vectors[name], vectors[BASELINE], strict=True)
        cosines = [float(np.dot(a, b)) for a, b in pairs if a is not None and b is not None]
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        report[name] = {
            **{stage: round(float(np.median(ms)), 3) for stage, ms in of.ms.items()},
            "total": round(float(np.median(totals[name])), 3),
            "ratio": round(float(middle), 3),
            "ratio_quartiles": [round(float(low), 3), round(float(high), 3)],
            "cosine": round(float(np.median(cosines)), 5),
        }
    return report


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The report, as one JSON object."""
    rows = variants(args.pack, Settings().cache_dir)
    photos = [p for p in read_people(args.data) if p.role in LABELLED]
    contents = [p.photo.read() for p in photos[:: max(1, len(photos) // args.photos)][: args.photos]]
    found: dict[str, Any] = {
        "pack": args.pack,
        "photos": len(contents),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "cpu_ms_per_photo": cpu_time(rows, contents),
    }
    if args.accuracy or args.scenes:
        compared = {name: row for name, row in rows.items() if name != BASELINE}
        vectors = {name: vectors_of(row, photos) for name, row in compared.items()}
        found["accuracy"] = {name: accuracy(photos, of) for name, of in vectors.items()}
    if args.scenes:
        shipped = rows[SHIPPED]
        probes = [p for p in photos if p.role is Role.PROBE]
        compared = {
            "320 px alone": searching(shipped, lambda sides: sides[:1]),
            SHIPPED: shipped,
            "from 160 px": rows["from 160 px"],
        }
        chosen = probes[:: max(1, len(probes) // args.scenes)][: args.scenes]
        found["scenes"] = {
            "each": len(chosen),
            "rows": scenes(compared, shipped, enrol(photos, vectors[SHIPPED]), chosen),
        }
    return found


def print_tables(found: dict[str, Any]) -> None:
    """The report for people."""
    rows = found["cpu_ms_per_photo"]
    stages = [key for key in rows[BASELINE] if key not in {"ratio", "ratio_quartiles", "cosine"}]
    print(f"{found['pack']}, {found['photos']} photos, {found['machine']}: median CPU ms of a photo")
    print(f"{'':<14}" + "".join(f"{stage:>10}" for stage in stages) + "   ratio [quartiles]      cosine")
    for name, row in rows.items():
        low, high = row["ratio_quartiles"]
        cells = "".join(f"{row.get(stage, 0):>10.3f}" for stage in stages)
        print(f"{name:<14}{cells}   {row['ratio']:.3f} [{low:.3f}, {high:.3f}]   {row['cosine']:.5f}")
    if "accuracy" in found:
        print(f"\n{'':<14}{'rank-1':<25}{'FNIR @ FPIR .01':<25}no face found (95 % intervals)")
    for name, row in found.get("accuracy", {}).items():
        cells = "".join(f"{_cell(row[key]):<25}" for key in ("rank1", "fnir_at_0.01"))
        print(f"{name:<14}{cells}{row['missed']}")
    if "scenes" in found:
        by_name = found["scenes"]["rows"]
        heights = by_name[SHIPPED]
        print(f"\n1080p, {found['scenes']['each']} scenes of each height: missed / rank-1")
        print(f"{'face, px':<14}" + "".join(f"{height:>12}" for height in heights))
        for name, row in by_name.items():
            cells = "".join(f"{one['missed']:>6.2f} /{one['rank1']:>4.2f}" for one in row.values())
            print(f"{name:<14}{cells}")


def _cell(measured: dict[str, Any]) -> str:
    low, high = measured["interval"]
    return f"{measured['value']:.4f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--pack", default="faceplugin")
    parser.add_argument("--photos", type=int, default=200, help="on which CPU time is measured")
    parser.add_argument("--accuracy", action="store_true", help="rank-1 and FNIR on all labelled photos")
    parser.add_argument("--scenes", type=int, nargs="?", const=40, default=0, help="scenes of each height")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    found = measure(args)
    if args.json:
        json.dump(found, sys.stdout, indent=2)
        print()
    else:
        print_tables(found)


if __name__ == "__main__":
    main()
