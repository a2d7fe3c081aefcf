"""Labeled Faces in the Wild by scikit-learn's fetcher, which downloads the photos once and keeps them."""

from pathlib import Path

from stream.demo.errors import PeopleError
from stream.demo.folders import read_people
from stream.demo.people import LabelledPhoto

FEWEST_FACES_LOADED = 400
"""The fetcher also decodes the faces it returns; with this bound it decodes those of one person."""

UNPACKED = Path("lfw_home") / "lfw_funneled"
"""Where the fetcher leaves the photos, as a folder of people."""


def fetch_lfw(data_home: Path | None = None) -> tuple[LabelledPhoto, ...]:
    """Every photo of LFW, 250 × 250, without descriptions.

    Args:
        data_home: scikit-learn's data folder; None takes its own default.

    Raises:
        PeopleError: The photos cannot be had.
    """
    from sklearn.datasets import fetch_lfw_people, get_data_home

    try:
        fetch_lfw_people(data_home=data_home, min_faces_per_person=FEWEST_FACES_LOADED)
    except (OSError, ValueError) as error:
        raise PeopleError(
            f"scikit-learn could not fetch LFW ({error}); look at the network, "
            "or give photos of your own with --data DIR"
        ) from error
    return read_people(Path(get_data_home(data_home)) / UNPACKED)
