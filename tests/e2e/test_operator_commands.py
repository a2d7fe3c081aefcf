"""Operators' commands on a real broker and worker: enrol, identities, produce, tail, withdraw."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from stream.demo.poison import RECIPES, Bounds, Ingredients, Poison
from stream.demo.portraits import caption, portrait_jpeg
from tests.e2e.commands import Sightline, document
from tests.e2e.harness import WorkerProcess

pytestmark = pytest.mark.kafka

PEOPLE = {"ann": 101, "bob": 102, "cy": 103}
NOBODY = RECIPES[Poison.NO_FACE].value(
    Ingredients(
        bounds=Bounds(max_image_bytes=1, max_text_chars=1, text_contract_id="", text_dimension=1),
        photo=b"",
        text="",
    )
)


def lay_out(folder: Path, photos: Sequence[int]) -> Path:
    """A folder of people with these photos of each."""
    for name, seed in PEOPLE.items():
        (folder / name).mkdir(parents=True)
        for photo in photos:
            jpeg, attributes = portrait_jpeg(seed, photo)
            (folder / name / f"{photo}.jpg").write_bytes(jpeg)
            (folder / name / f"{photo}.txt").write_text(caption(attributes), encoding="utf-8")
    return folder


def test_from_a_folder_of_people_to_decisions_and_back_out(
    sightline: Sightline, worker: WorkerProcess, tmp_path: Path
) -> None:
    """Enrolled by one folder, found by another, shown while they are there, gone when withdrawn."""
    enrolled = document(sightline("enrol", str(lay_out(tmp_path / "known", [0, 1])), "--json"))
    assert (enrolled["accepted"], enrolled["identities"], enrolled["rejected"]) == (6, 3, [])

    again = document(sightline("enrol", str(tmp_path / "known"), "--json"))
    assert again["accepted"] == 6
    listed = document(sightline("identities", "list", "--json"))
    assert [(row["identity_id"], row["templates"]) for row in listed] == [("ann", 2), ("bob", 2), ("cy", 2)]

    shown = document(sightline("identities", "show", "ann", "--json"))
    assert [t["template_id"] for t in shown["templates"]] == ["ann/0.jpg", "ann/1.jpg"]
    assert set(shown["templates"][0]["modalities"]) == {"image", "text"}

    probes = lay_out(tmp_path / "probes", [2])
    published = document(sightline("produce", str(probes), "--rate", "20", "--json"))
    assert (published["subjects"], published["events"]) == (3, {"image": 3, "text": 3})

    tailed = sightline("tail", "--from-beginning", "--limit", "3", "--json")
    decisions = [json.loads(line) for line in tailed.stdout.splitlines()]
    best = {d["subject_id"]: d["candidates"][0]["identity_id"] for d in decisions}
    assert best == {f"{name}/2.jpg": name for name in PEOPLE}
    assert "ann/2.jpg" in sightline("tail", "--from-beginning", "--limit", "3").stdout

    assert document(sightline("withdraw", "ann", "--json"))["withdrawn"] is True
    assert [r["identity_id"] for r in document(sightline("identities", "list", "--json"))] == ["bob", "cy"]
    assert sightline("identities", "show", "ann").exit_code == 1


def test_one_template_can_be_withdrawn_and_what_is_not_there_cannot(
    sightline: Sightline, worker: WorkerProcess, tmp_path: Path
) -> None:
    """The identity stays while it has another template; an unknown one is refused with its name."""
    assert sightline("enrol", str(lay_out(tmp_path / "known", [0, 1]))).exit_code == 0
    assert sightline("withdraw", "ann", "--template", "ann/0.jpg").exit_code == 0
    (left,) = document(sightline("identities", "show", "ann", "--json"))["templates"]
    assert left["template_id"] == "ann/1.jpg"
    refused = sightline("withdraw", "nobody")
    assert refused.exit_code == 1
    assert "nobody" in refused.stderr


def test_a_rejected_photo_is_told_and_fails_the_command_unless_it_may_be(
    sightline: Sightline, worker: WorkerProcess, tmp_path: Path
) -> None:
    """The others are enrolled all the same; the reason is the service's own."""
    folder = lay_out(tmp_path / "known", [0])
    (folder / "bob" / "noise.jpg").write_bytes(NOBODY)
    strict = sightline("enrol", str(folder), "--json")
    assert strict.exit_code == 1
    report = json.loads(strict.stdout)
    assert (report["accepted"], report["reasons"]) == (3, {"no_face": 1})
    assert report["rejected"][0]["template_id"] == "bob/noise.jpg"
    lenient = sightline("enrol", str(folder), "--allow-rejects")
    assert lenient.exit_code == 0
    assert "no_face" in lenient.stdout


def test_a_withdrawn_template_leaves_the_mean_to_the_others(
    sightline: Sightline, worker: WorkerProcess, tmp_path: Path
) -> None:
    """A sample comes and goes: the same probe then meets the very template that it met before."""
    photo = lay_out(tmp_path / "probe", [2]) / "ann" / "2.jpg"

    def similarity_in_visit(number: int) -> Mapping[str, float]:
        visit = tmp_path / f"visit-{number}" / "ann" / f"{number}.jpg"
        visit.parent.mkdir(parents=True)
        shutil.copy(photo, visit)
        document(sightline("produce", str(visit.parents[1]), "--json"))
        tailed = sightline("tail", "--from-beginning", "--limit", str(number), "--json")
        (found,) = (
            d for d in map(json.loads, tailed.stdout.splitlines()) if d["subject_id"] == f"ann/{number}.jpg"
        )
        (similarity,) = (c["similarity"] for c in found["candidates"] if c["identity_id"] == "ann")
        return similarity

    assert sightline("enrol", str(lay_out(tmp_path / "first", [1]))).exit_code == 0
    before = similarity_in_visit(1)
    assert sightline("enrol", str(lay_out(tmp_path / "second", [0]))).exit_code == 0
    both = similarity_in_visit(2)
    assert sightline("withdraw", "ann", "--template", "ann/0.jpg").exit_code == 0
    after = similarity_in_visit(3)
    assert both != before
    assert after == before


def test_a_gallery_check_finds_one_person_under_two_names(
    sightline: Sightline, worker: WorkerProcess, tmp_path: Path
) -> None:
    """Warned of at enrolment, found again afterwards; strict is for jobs that are to fail by it."""
    folder = lay_out(tmp_path / "known", [0, 1])
    assert sightline("gallery", "check").exit_code == 1, "there is nobody to check"
    shutil.copytree(folder / "ann", folder / "anne")
    assert sightline("enrol", str(folder), "--json").exit_code == 0
    report = document(sightline("gallery", "check", "--json", "--top", "0"))
    assert (report["identities"], report["templates"], report["version"]) == (4, 8, 8)
    pairs = [{pair["identity_id"], pair["other_id"]} for pair in report["confusable"] if pair["over"]]
    assert {"ann", "anne"} in pairs
    assert {row["mask"] for row in report["targets"]} == {"image", "image+text"}
    assert {row["searches"] for row in report["targets"]} == {8}
    shown = sightline("gallery", "check", "--strict")
    assert shown.exit_code == 1
    assert "anne" in shown.stdout
    assert "findings" in shown.stdout
