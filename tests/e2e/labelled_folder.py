"""A folder of labelled people, as `sightline calibrate` and `sightline evaluate` read it."""

import csv
from pathlib import Path

from stream.demo.people import Person, Photo


def write_manifest(folder: Path, persons: tuple[Person, ...]) -> None:
    """People as a folder with a manifest."""
    rows = []

    def keep(person: Person, photo: Photo, role: str) -> None:
        path = folder / f"{photo.name.replace('/', '-')}.jpg"
        path.write_bytes(photo.read())
        rows.append([path.name, person.identity_id, role, photo.caption])

    for person in persons:
        for photo in person.enrolled:
            keep(person, photo, "enrol")
        for photo in person.probes:
            keep(person, photo, "stranger" if person.is_stranger else "probe")
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["file", "identity", "role", "caption"], *rows])
