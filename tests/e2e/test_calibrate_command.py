"""`sightline calibrate` on rendered people: a worker takes the file, and one seed gives the same bytes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from index.faiss_gallery import FaissGallery
from index.fitting.fit import FEWEST_IDENTITIES
from index.records import IMAGE, TEXT, Feature, IdentityId, Template, TemplateId
from stream.cli.main import app
from stream.demo.people import Person
from stream.demo.rendered import RenderPlan, render_people
from stream.worker.policy import policy_of
from stream.worker.service import extractors_of
from stream.worker.settings import Settings
from tests.e2e.labelled_folder import write_manifest


@pytest.fixture(scope="module")
def persons() -> tuple[Person, ...]:
    return render_people(RenderPlan(enrolled=FEWEST_IDENTITIES, strangers=0, probes=1)).persons


def calibrated(people: Path, out: Path) -> dict[str, object]:
    done = CliRunner().invoke(app, ["calibrate", str(people), "--out", str(out), "--seed", "3", "--json"])
    assert done.exit_code == 0, done.output
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_a_worker_takes_what_calibrate_writes(
    persons: tuple[Person, ...], model_cache: Path, tmp_path: Path
) -> None:
    """Bound to the extractors' contracts, by the environment; a person is found by a photo not fitted on."""
    write_manifest(tmp_path, persons)
    out, again = tmp_path / "mine.json", tmp_path / "again.json"
    told = calibrated(tmp_path, out)
    assert told["photos"] == sum(len(person.enrolled) for person in persons), "probes are left for evaluate"
    assert calibrated(tmp_path, again)["policy"] == told["policy"]
    assert again.read_bytes() == out.read_bytes()

    settings = Settings(policy=out)
    extractors = extractors_of(settings)
    policy = policy_of(settings, {name: extractor.contract_id for name, extractor in extractors.items()})
    assert (policy.policy_id, policy.modalities) == (told["policy"], (IMAGE, TEXT))
    gallery = FaissGallery(policy)
    for person in persons:
        feature = extractors[IMAGE].extract("image/jpeg", person.enrolled[0].read())
        assert isinstance(feature, Feature)
        gallery.enrol(
            Template(
                identity_id=IdentityId(person.identity_id),
                template_id=TemplateId(person.enrolled[0].name),
                features={IMAGE: feature},
            )
        )
    found = 0
    for person in persons:
        probe = extractors[IMAGE].extract("image/jpeg", person.probes[0].read())
        assert isinstance(probe, Feature)
        best = gallery.search({IMAGE: probe}, 1).candidates[0]
        found += best.identity_id == person.identity_id
    assert found > len(persons) / 2


def test_too_few_people_are_refused_before_anything_is_written(
    persons: tuple[Person, ...], model_cache: Path, tmp_path: Path
) -> None:
    """The message says how many there are; a file that is there stays."""
    write_manifest(tmp_path, persons[:3])
    out = tmp_path / "mine.json"
    out.write_text("kept")
    done = CliRunner().invoke(app, ["calibrate", str(tmp_path), "--out", str(out)])
    assert done.exit_code != 0
    assert "3 people have two photos" in " ".join(done.output.split())
    assert out.read_text() == "kept"
