"""An evaluation on people whose features are drawn, not extracted: every experiment, in seconds."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from index.evaluation import best_in
from index.records import IMAGE, TEXT, IdentityId, Modality
from stream.demo.errors import PeopleError
from stream.demo.people import LabelledPhoto, Person, Photo, Role
from stream.evaluation.changes import BaselineError, compare, read_baseline
from stream.evaluation.evaluate import MASKS, Plan, Subject, evaluate
from stream.evaluation.experiments import CONFUSIONS
from stream.evaluation.feature_store import FeatureStore
from stream.evaluation.plots import plots
from stream.evaluation.report import Report, as_json
from stream.evaluation.samples import (
    Cast,
    Condition,
    Sample,
    cast_of,
    parse_condition,
)
from stream.evaluation.searching import (
    deciding,
    every_score,
    fused_queries,
    gallery_of,
    queries,
    search_all,
    tabulate,
    without_mates,
)
from stream.evaluation.tables import markdown, tables
from tests.factories import contract, feature, people, policy

ENROLLED, STRANGERS, PHOTOS, ENROLLED_PHOTOS = 24, 12, 5, 2
D = 16
PLAN = Plan(
    seed=4,
    conditions=(Condition(), parse_condition("blurred")),
    resamples=40,
    gallery_draws=3,
    missing_draws=2,
)
SPREAD = {"clean": 0.5, "blurred:medium": 1.0}


def photo(person: int, number: int) -> Photo:
    return Photo(name=f"p{person}/{number}", caption=f"word{person} word{number}", source=b"no image")


def cast() -> Cast:
    """People whose photos are no images: all that counts is drawn by `drawn`."""
    everybody = [
        [photo(person, number) for number in range(PHOTOS)] for person in range(ENROLLED + STRANGERS)
    ]
    return Cast(
        enrolled=tuple(
            Person(
                identity_id=f"p{at}", enrolled=tuple(of[:ENROLLED_PHOTOS]), probes=tuple(of[ENROLLED_PHOTOS:])
            )
            for at, of in enumerate(everybody[:ENROLLED])
        ),
        strangers=tuple(
            Person(identity_id=f"p{at}", enrolled=(), probes=tuple(of[:2]))
            for at, of in enumerate(everybody[ENROLLED:], start=ENROLLED)
        ),
    )


def drawn(photos: Sequence[tuple[str, Photo]], condition: Condition, _what: str = "") -> list[Sample]:
    """Features of each photo, further off in a worse condition; every ninth photo has no face."""
    images = people(ENROLLED + STRANGERS, D, spread=SPREAD[condition.name], samples=PHOTOS, seed=1)
    texts = people(ENROLLED + STRANGERS, D, spread=1.2, samples=PHOTOS, seed=2)
    samples = []
    for row, (identity_id, one) in enumerate(photos):
        person, number = map(int, one.name[1:].split("/"))
        made = {TEXT: feature(texts[person, number], TEXT)}
        if row % 9:
            made[IMAGE] = feature(images[person, number], quality=10.0 + number)
        samples.append(Sample(identity_id=identity_id, photo=one, features=made))
    return samples


def image_alone(photos: Sequence[tuple[str, Photo]], condition: Condition, what: str) -> list[Sample]:
    """The same photos without descriptions."""
    return [
        Sample(
            identity_id=one.identity_id,
            photo=one.photo,
            features={m: f for m, f in one.features.items() if m == IMAGE},
        )
        for one in drawn(photos, condition, what)
    ]


SUBJECT = Subject(version="0", data="drawn people", pack="none", policy=policy())


def measured(plan: Plan = PLAN, extract: Any = drawn) -> Report:
    return evaluate(SUBJECT, cast(), extract, plan, lambda _what, _done, _of: None)


@pytest.fixture(scope="module")
def report() -> Report:
    return measured()


def measures_in(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every rate of a JSON document."""
    if isinstance(value, dict):
        if "value" in value:
            yield value
        for name, inner in value.items():
            if name != "threshold":
                yield from measures_in(inner)


def test_the_report_has_every_part_with_intervals_and_counts(report: Report) -> None:
    """As JSON without NaN: each measure is a share of at least one search, within its interval's ends."""
    plain = json.loads(json.dumps(as_json(report), allow_nan=False))
    assert list(plain) == [field.name for field in fields(Report)]
    assert plain["run"]["mated"] == ENROLLED * (PHOTOS - ENROLLED_PHOTOS)
    assert plain["run"]["non_mated"] == STRANGERS * 2
    assert {c: list(by) for c, by in plain["conditions"].items()} == {
        "clean": list(MASKS),
        "blurred:medium": ["image+text", "image"],
    }
    assert list(plain["realised"]) == ["image+text", "image"]
    assert list(plain["realised"]["image"]) == ["6", "12", "18", "24"]
    assert list(plain["calibration"]) == list(MASKS)
    found = list(measures_in(plain))
    assert len(found) > 100
    for one in found:
        assert one["n"] > 0
        assert one["low"] <= one["high"]
        assert -1 <= one["value"] <= 1


def test_the_same_plan_gives_the_same_report(report: Report) -> None:
    """To the byte; and another seed is another report."""
    again, other = (
        measured(),
        measured(Plan(seed=5, conditions=PLAN.conditions, resamples=40, gallery_draws=3)),
    )
    assert json.dumps(as_json(again)) == json.dumps(as_json(report))
    assert as_json(other)["realised"] != as_json(report)["realised"]


def test_a_worse_condition_measures_worse(report: Report) -> None:
    """Degraded photos are searched, the enrolled ones stay as they came."""
    clean, worse = (report.conditions[c]["image"].rank1.value for c in SPREAD)
    assert clean > worse > 1 / ENROLLED


def test_several_photos_of_a_probe_help(report: Report) -> None:
    """Three photos, fused, beat one; as many searches without their mates are the non-mated."""
    single, fused = report.conditions["clean"]["image"], report.frames["clean"]["image"]
    assert fused.rank1.value >= single.rank1.value
    assert fused.mated == fused.non_mated > 0


def test_a_description_alone_ranks_and_finds_nobody(report: Report) -> None:
    """Whatever the FPIR: its rank-1 rate counts, its FNIR is one."""
    alone = report.conditions["clean"]["text"]
    assert alone.rank1.value > 2 / ENROLLED
    assert {one.value for one in alone.fnir_at_fpir.values()} == {1.0}
    assert {one.fpir.value for one in alone.service.values()} == {0.0}


def test_what_is_searched_in_the_whole_gallery_is_what_a_full_draw_finds(report: Report) -> None:
    """Two ways to one number: the gallery's own search, and the best of every pair's score."""
    columns = {IdentityId(f"p{at}"): at for at in range(ENROLLED)}
    probes = drawn([(p.identity_id, x) for p in cast().enrolled for x in p.probes], Condition())
    gallery = gallery_of(
        drawn([(p.identity_id, x) for p in cast().enrolled for x in p.enrolled], Condition()), policy()
    )
    for mask in MASKS.values():
        asked = queries(probes, mask, frozenset(columns))
        found = tabulate(search_all(gallery, asked))
        best, whom = best_in(every_score(gallery, asked, columns, only_deciding=False), np.arange(ENROLLED))
        np.testing.assert_array_equal(best, found.score)
        own = np.array([columns[IdentityId(query.identity_id)] for query in asked])
        np.testing.assert_array_equal((own == whom) & np.isfinite(best), found.right)


def test_only_evidence_that_may_match_is_accepted() -> None:
    """Of the candidates those stay that a decision could commit itself to, in their order."""
    probes = drawn([(p.identity_id, x) for p in cast().enrolled for x in p.probes], Condition())
    enrolled = drawn([(p.identity_id, x) for p in cast().enrolled for x in p.enrolled], Condition())
    gallery = gallery_of(enrolled, policy())
    found = search_all(gallery, queries(probes, MASKS["image+text"], frozenset({"p1"})))
    kept = deciding(found, policy())
    assert sum(not k.result.candidates for k in kept) == sum(IMAGE not in s.features for s in probes)
    for whole, part in zip(found, kept, strict=True):
        assert [c for c in whole.result.candidates if IMAGE in c.similarity] == list(part.result.candidates)


def test_probes_of_several_photos_are_of_one_person() -> None:
    """Each group once, none with a photo that lacks a modality; without mates nobody finds himself."""
    probes = drawn([(p.identity_id, x) for p in cast().enrolled for x in p.probes], Condition())
    asked = fused_queries(probes, frozenset({IMAGE}), 3, policy(), seed=0)
    whole = {s.identity_id for s in probes} - {s.identity_id for s in probes if IMAGE not in s.features}
    assert {query.identity_id for query in asked} == whole
    enrolled = drawn([(p.identity_id, x) for p in cast().enrolled for x in p.enrolled], Condition())
    apart = without_mates(search_all(gallery_of(enrolled, policy()), asked))
    assert not any(s.query.mated for s in apart)
    assert not any(s.query.identity_id in {c.identity_id for c in s.result.candidates} for s in apart)


def test_confusions_come_worst_first(report: Report) -> None:
    """Strangers and wrong answers by falling score, weak ones by rising; each names what is enrolled."""
    by_fault: dict[str, list[float]] = {}
    for one in report.confusions:
        by_fault.setdefault(str(one.fault), []).append(one.score)
        assert one.returned_photo.startswith(f"{one.returned_id}/")
        assert (one.own_photo is not None) == (one.fault == "wrong")
    assert set(by_fault) == {"stranger", "wrong", "weak"}
    assert all(len(scores) <= CONFUSIONS for scores in by_fault.values())
    assert by_fault["stranger"] == sorted(by_fault["stranger"], reverse=True)
    assert by_fault["weak"] == sorted(by_fault["weak"])


def test_photos_without_descriptions_are_measured_by_the_image_alone() -> None:
    """What takes two modalities is left out, and said to be."""
    found = measured(extract=image_alone)
    assert list(found.conditions["clean"]) == ["image"]
    assert (found.missing, found.conflicts, found.fused_minus_image) == (None, None, {})
    assert {table.title for table in tables(found)}.isdisjoint({"Missing modalities", "Contradictions"})
    assert plots(found)


def test_photos_of_nobody_are_refused() -> None:
    """Nothing could be measured; the message says how many photos were looked at."""
    with pytest.raises(PeopleError, match="in 96 searched or 48 enrolled photos"):
        measured(
            extract=lambda photos, _condition, _what: [
                Sample(identity_id=name, photo=one, features={}) for name, one in photos
            ]
        )


def test_every_row_of_a_table_is_as_long_as_its_heads(report: Report) -> None:
    """In words that the terminal, the page and the documentation share."""
    for table in tables(report):
        assert {len(row) for row in table.rows} == {len(table.heads)}, table.title
    lines = [line for line in markdown(report).splitlines() if line.startswith("|")]
    assert len(lines) == sum(len(table.rows) + 2 for table in tables(report))


@pytest.mark.parametrize(
    ("text", "name"), [("clean", "clean"), ("dark", "dark:medium"), ("jpeg:strong", "jpeg:strong")]
)
def test_a_condition_is_called_by_its_name(text: str, name: str) -> None:
    """Medium where no strength is said."""
    assert parse_condition(text).name == name


@pytest.mark.parametrize("text", ["", "foggy", "clean:light", "blurred:very", "blurred::"])
def test_an_unknown_condition_is_refused_with_those_that_exist(text: str) -> None:
    """An operator sees what there is."""
    with pytest.raises(ValueError, match="blurred, small"):
        parse_condition(text)


def test_an_evaluation_takes_strangers_and_somebody_who_is_searched_for() -> None:
    """A folder of one person has neither."""
    with pytest.raises(PeopleError, match="0 strangers"):
        cast_of("here", [LabelledPhoto(identity_id="ann", photo=photo(0, n)) for n in range(4)], seed=0)
    roles = [LabelledPhoto(identity_id="ann", photo=photo(0, 0), role=Role.ENROL)]
    with pytest.raises(PeopleError, match="gives 0 people"):
        cast_of("here", roles, seed=0)


def at(value: float, low: float = 0.1, high: float = 0.3) -> dict[str, float]:
    return {"value": value, "low": low, "high": high, "n": 9}


def document(**changes: Any) -> dict[str, Any]:
    """A report's JSON, as far as it is compared."""
    run = dict.fromkeys(("version", "data", "pack", "contracts", "policy", "seed", "quick", "resamples"), 0)
    return {
        "schema_version": 1,
        "run": run,
        "same": at(0.2),
        "near": at(0.2),
        "far": {"deep": at(0.2)},
    } | changes


def test_a_comparison_lists_what_moved_and_what_lies_beyond_its_interval() -> None:
    """Those beyond first; what is the same, new, gone or unmeasured is not listed."""
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    before = document(gone=at(0.1), void=nothing)
    after = document(near=at(0.3), far={"deep": at(0.09)}, void=at(0.2), new=at(0.5))
    after["run"] = {**after["run"], "policy": 1}
    found = compare(before, after)
    assert [(c.path, c.before, c.after, c.beyond) for c in found.changes] == [
        ("far › deep", 0.2, 0.09, True),
        ("near", 0.2, 0.3, False),
    ]
    assert (found.measures, found.settings) == (3, ("policy: 0, now 1",))


def test_a_report_compared_with_itself_has_not_changed(report: Report) -> None:
    """All its measures are met again."""
    plain = as_json(report)
    found = compare(plain, plain)
    assert (found.changes, found.settings) == ((), ())
    assert found.measures >= len(list(measures_in(plain)))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": 2}', "\xff"])
def test_what_is_no_report_is_not_compared_with(content: str, tmp_path: Any) -> None:
    """The message names the file."""
    path = tmp_path / "old.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(BaselineError, match=r"old\.json"):
        read_baseline(path)
    with pytest.raises(BaselineError, match="none"):
        read_baseline(tmp_path / "none")


def test_features_come_back_to_the_bit(tmp_path: Any) -> None:
    """For the same photos and captions only: anything that would move a feature is another file."""
    contracts: Mapping[Modality, Any] = {IMAGE: contract(IMAGE), TEXT: contract(TEXT)}
    store = FeatureStore(tmp_path / "kept", contracts, seed=0)
    photos = [(p.identity_id, x) for p in cast().enrolled for x in p.probes]
    samples = drawn(photos, Condition())
    assert store.load(photos, Condition()) is None
    store.save(samples, Condition())
    kept = store.load(photos, Condition())
    assert kept is not None
    for one, other in zip(samples, kept, strict=True):
        assert (one.identity_id, one.photo) == (other.identity_id, other.photo)
        assert one.features.keys() == other.features.keys()
        for modality, made in one.features.items():
            np.testing.assert_array_equal(other.features[modality].vector, made.vector)
            assert other.features[modality].quality == made.quality
            assert other.features[modality].contract_id == made.contract_id
    assert store.load(photos, parse_condition("dark")) is None
    assert store.load(photos[1:], Condition()) is None
    assert FeatureStore(tmp_path / "kept", contracts, seed=1).load(photos, Condition()) is None
    reworded = [(name, Photo(name=x.name, caption=x.caption + "!", source=x.source)) for name, x in photos]
    assert store.load(reworded, Condition()) is None


def test_a_damaged_file_of_features_is_made_anew(tmp_path: Any) -> None:
    """As if it were not there."""
    store = FeatureStore(tmp_path, {IMAGE: contract(IMAGE), TEXT: contract(TEXT)}, seed=0)
    photos = [("p1", photo(1, 3))]
    store.save(drawn(photos, Condition()), Condition())
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:50])
    assert store.load(photos, Condition()) is None
