"""Counts the idf numbers of the text extractor on the enrol-role captions of a labelled folder.

They are part of the text contract: new numbers are a new contract, and everybody is enrolled anew.

    python bench/fit_text_weights.py    # writes stream/features/text_weights.json
"""

import argparse
import json
from pathlib import Path

from labelled_features import DEFAULT_DATA

from stream.demo.folders import read_people
from stream.demo.people import Role
from stream.features.text import fit_weights

PATH = Path(__file__).parent.parent / "stream" / "features" / "text_weights.json"


def main() -> None:
    """Reads the captions, counts, writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    args = parser.parse_args()
    captions = [p.photo.caption for p in read_people(args.data) if p.role is Role.ENROL and p.photo.caption]
    weights = fit_weights(captions, fitted_on=f"{len(captions)} captions of faces (LFW cut, enrol role)")
    document = {"fitted_on": weights.fitted_on, "idf": [round(float(x), 4) for x in weights.idf]}
    PATH.write_text(json.dumps(document) + "\n", encoding="utf-8")
    print(f"wrote {PATH}: {weights.contract_id}")


if __name__ == "__main__":
    main()
