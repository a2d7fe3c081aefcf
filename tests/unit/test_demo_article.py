"""The founding article's pipeline: it runs, it is scored by the same rules, and it is as weak as it is."""

from index.records import IMAGE, TEXT, Mask
from stream.demo.article import Appearance, baseline
from stream.demo.people import Person, Photo
from stream.demo.rendered import RenderPlan, render_people

WHOLE: Mask = frozenset({IMAGE, TEXT})
PEOPLE = render_people(RenderPlan(enrolled=6, strangers=4, probes=2, seed=9))


def appearances(persons: tuple[Person, ...], *, mask: Mask = WHOLE) -> list[Appearance]:
    """Every photo that is searched for, with the truth about it."""
    return [
        Appearance(photo=photo, mask=mask, truth=None if person.is_stranger else person.identity_id)
        for person in persons
        for photo in person.probes
    ]


def test_a_photo_that_is_enrolled_is_found_by_its_own_pixels() -> None:
    """The oracle case: the probe is the sample itself, and over any threshold of strangers."""
    same = [Appearance(photo=p.enrolled[0], mask=WHOLE, truth=p.identity_id) for p in PEOPLE.enrolled]
    found = baseline(PEOPLE.enrolled, [*same, *appearances(PEOPLE.strangers)], target_fpir=0.01)
    assert (found.rank1, found.fnir, found.fpir) == (1.0, 0.0, 0.0)


def test_its_fpir_on_the_strangers_is_the_one_asked_for() -> None:
    """The threshold is taken from the very strangers: at most that share exceed it."""
    found = baseline(PEOPLE.enrolled, appearances(PEOPLE.persons), target_fpir=0.25)
    assert found.fpir == 0.25
    assert (found.probes, found.strangers) == (12, 8)
    assert found.rank1 is not None
    assert found.fnir is not None
    assert found.fnir >= 1 - found.rank1


def test_missing_modalities_and_files_that_do_not_decode_are_zeros() -> None:
    """Nothing of a probe is nothing to find it by."""
    broken = Photo(name="broken", caption="", source=b"no image")
    probes = [
        Appearance(photo=broken, mask=frozenset({IMAGE}), truth="person-00000"),
        *appearances(PEOPLE.strangers, mask=frozenset({TEXT})),
    ]
    assert baseline(PEOPLE.enrolled, probes, target_fpir=0.1).fnir == 1.0


def test_without_strangers_everybody_is_returned() -> None:
    """There is nothing to take a threshold from."""
    found = baseline(PEOPLE.enrolled, appearances(PEOPLE.enrolled), target_fpir=0.01)
    assert found.fpir is None
    assert found.rank1 == 1 - (found.fnir or 0.0)
