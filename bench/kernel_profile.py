"""Where the networks' time goes: wall time by network and operator, as ONNX Runtime's own profiler saw it.

Operators are those that run, after ONNX Runtime's graph optimisation: a rewrite that it undoes, or a layout
that it has to change back, shows here. The profiler itself slows them down: read the shares.

    python bench/kernel_profile.py --pack faceplugin
"""

import argparse
import gc
import itertools
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import onnxruntime as ort
from kernel_accuracy import pixels, vector
from labelled_features import DEFAULT_DATA

from stream.demo.folders import read_people
from stream.features.encoders import load_encoder
from stream.features.models import pack_folder, pack_named
from stream.features.networks import Backend
from stream.worker.settings import Settings


def traces(pack_name: str, data: Path, photos: int, folder: Path) -> list[list[dict[str, Any]]]:
    """The events of each network, in the order in which they were loaded."""
    numbers = itertools.count(1)

    class Traced(ort.SessionOptions):
        def __init__(self) -> None:
            super().__init__()
            self.enable_profiling = True
            self.profile_file_prefix = str(folder / f"{next(numbers)}-")

    ort.SessionOptions = Traced
    pack = pack_named(pack_name, Settings().cache_dir)
    encoder = load_encoder(pack, pack_folder(pack, Settings().cache_dir), Backend.ONNXRUNTIME)
    for labelled in read_people(data)[:photos]:
        vector(encoder, pixels(labelled.photo.read()))
    del encoder
    gc.collect()  # a session writes its trace when it goes
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def main() -> None:
    """Reads the arguments, runs, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--pack", default="faceplugin")
    parser.add_argument("--photos", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = traces(args.pack, args.data, args.photos, Path(folder))
    for number, events in enumerate(found, start=1):
        spent, calls = Counter[str](), Counter[str]()
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                operator = event["args"]["op_name"]
                spent[operator] += event["dur"]
                calls[operator] += 1
        total = sum(spent.values())
        print(f"network {number}: {total / args.photos / 1000:.2f} ms a photo")
        for operator, us in spent.most_common():
            print(f"  {operator:<20}{calls[operator] / args.photos:>6.0f} calls{us / total:>8.1%}")


if __name__ == "__main__":
    main()
