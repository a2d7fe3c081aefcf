"""The oracle of bench/faults.py: what is right for a log, and every way of being wrong by its name."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from faultlab.lab import Report, longest_gaps_s
from faultlab.plan import ORDINARY, Kind, Shape, plan
from faultlab.reference import Logged, Outcomes, Place, outcomes
from faultlab.verdict import Verdict, repeated, verdict
from faultlab.witness import Said, SetAside
from faultlab.worker import CRASH_POINTS

WINDOW_MS, GRACE_MS = 100, 50


def logged(
    name: str,
    time_ms: int,
    *,
    offset: int | None = None,
    late_ms: int = 0,
    marker: bool = False,
    **more: object,
) -> Logged:
    """An event of the modality that its name begins with, appended at once or later."""
    modality = name.split("-", maxsplit=1)[0]
    made = Logged(
        place=(f"t.{modality}s.v1", 0, time_ms if offset is None else offset),
        append_ms=time_ms + late_ms,
        subject="s",
        modality="text" if marker else modality,
        name=name,
        time_ms=time_ms,
        marker=marker,
        person="ann",
    )
    return replace(made, **more)  # type: ignore[arg-type]  # fields of Logged by name


def right(*log: Logged) -> Outcomes:
    return outcomes(log, window_ms=WINDOW_MS, grace_ms=GRACE_MS)


def names(found: Outcomes, places: frozenset[Place]) -> set[str]:
    return {found.by_place[place].name for place in places}


def must_and_may(*log: Logged) -> list[tuple[set[str], set[str]]]:
    found = right(*log)
    return [(names(found, window.must), names(found, window.may)) for window in found.windows]


def test_what_is_in_time_and_in_one_window_is_decided_together() -> None:
    """The first event anchors; the next one outside anchors the next."""
    assert must_and_may(logged("image", 0), logged("text", 99), logged("image-2", 100)) == [
        ({"image", "text"}, set()),
        ({"image-2"}, set()),
    ]


def test_the_order_in_which_two_topics_are_read_leaves_a_choice() -> None:
    """A second image may come after its window was complete; the first one cannot."""
    assert must_and_may(logged("image", 0), logged("image-2", 10), logged("text", 20)) == [
        ({"image", "text"}, {"image-2"})
    ]
    assert must_and_may(logged("image", 0), logged("image-2", 10)) == [({"image", "image-2"}, set())]


def test_with_revisions_a_window_takes_all_that_comes_to_its_end() -> None:
    """Completeness closes nothing then."""
    log = [logged("image", 0), logged("image-2", 10), logged("text", 20)]
    [window] = outcomes(log, window_ms=WINDOW_MS, grace_ms=GRACE_MS, completes=False).windows
    assert (len(window.must), window.may) == (3, frozenset())


def test_what_may_be_late_may_be_set_aside() -> None:
    """Up to the grace it is in time; beyond it, that depends on what was read before."""
    assert must_and_may(logged("image", 0), logged("text", 20, late_ms=50)) == [({"image", "text"}, set())]
    assert must_and_may(logged("image", 0), logged("text", 20, late_ms=51)) == [({"image"}, {"text"})]
    assert must_and_may(logged("image", 0, late_ms=900)) == [(set(), {"image"})]


def test_where_windows_hang_on_what_is_late_every_event_still_needs_an_outcome() -> None:
    """An anchor that may be late, and more than one other event."""
    log = [logged("image", 0, late_ms=900), logged("text", 20), logged("image-2", 30)]
    [window] = right(*log).windows
    assert window.open
    assert (window.must, len(window.may)) == (frozenset(), 3)
    assert len(verdict(right(*log), [], []).lost) == 3
    assert must_and_may(*log[:2]) == [({"text"}, {"image"})]


def test_a_marker_ends_a_window_and_is_covered_by_its_decision() -> None:
    """Unless the window was complete before it came."""
    end = logged("text-end", 40, marker=True)
    assert must_and_may(logged("image", 0), end, logged("image-2", 60)) == [
        ({"image", "text-end"}, set()),
        ({"image-2"}, set()),
    ]
    assert must_and_may(logged("image", 0), logged("text", 10), end) == [({"image", "text"}, {"text-end"})]


def test_the_first_copy_counts() -> None:
    """A later one is never decided; a bad envelope has no copies, each is set aside."""
    found = right(logged("image", 0), logged("image", 0, offset=9))
    assert [window.must for window in found.windows] == [{("t.images.v1", 0, 0)}]
    assert found.copies == {("t.images.v1", 0, 9)}
    bad = [logged("image", 0, offset=n, fault="bad_headers", joins=False) for n in (1, 2)]
    assert len(right(*bad).dead) == 2
    assert right(*bad).windows == ()


LOG = (
    logged("image", 0),
    logged("text", 20),
    logged("image-2", 30),
    logged("image-3", 500, subject="t", person=None),
    logged("image", 0, offset=7),
    logged("image-2", 30, offset=31),
    logged("image-4", 600, subject="u", fault="no_face"),
    logged("text-4", 600, subject="u"),
    logged("image-5", 700, subject="v", fault="bad_headers", joins=False),
)
RIGHT = right(*LOG)
IMAGES, TEXTS = "t.images.v1", "t.texts.v1"


def said(
    subject: str,
    samples: dict[Place, str],
    *,
    identity: str | None = None,
    used: str = "image text",
    **more: object,
) -> Said:
    """A decision about these inputs."""
    missing = tuple((m, "not_received") for m in ("image", "text") if m not in used.split())
    made = Said(
        value=b"{}",
        key=subject,
        partition=0,
        append_ms=0,
        decision_id=f"of {subject}",
        revision=1,
        supersedes=None,
        final=True,
        subject=subject,
        gallery_version=3,
        closed_by="deadline" if missing else "complete",
        outcome="match" if identity else "no_match",
        identity=identity,
        used=frozenset(used.split()),
        missing=missing,
        samples=samples,
        unusable={},
        markers={},
    )
    return replace(made, **more)  # type: ignore[arg-type]  # fields of Said by name


WHOLE = said("s", {(IMAGES, 0, 0): "image", (TEXTS, 0, 20): "text"}, identity="ann")
ALONE = said("t", {(IMAGES, 0, 500): "image-3"}, used="image")
SPOILT = said(
    "u",
    {(TEXTS, 0, 600): "text-4"},
    used="text",
    closed_by="complete",
    missing=(("image", "no_face"),),
    unusable={(IMAGES, 0, 600): "image-4"},
)
SURPLUS = SetAside(place=(IMAGES, 0, 30), reason="window_decided", stage="join", partition=0, append_ms=0)
NO_FACE = SetAside(place=(IMAGES, 0, 600), reason="no_face", stage="features", partition=0, append_ms=0)
BROKEN = SetAside(place=(IMAGES, 0, 700), reason="bad_headers", stage="codec", partition=0, append_ms=0)
DECISIONS, LETTERS = [WHOLE, ALONE, SPOILT], [SURPLUS, NO_FACE, BROKEN]


def test_what_is_right_is_found_right() -> None:
    """Also when it is said twice, and when the surplus image was in time for the decision."""
    assert verdict(RIGHT, DECISIONS, LETTERS).counts == dict.fromkeys(Verdict.__slots__, 0)
    assert verdict(RIGHT, [*DECISIONS, WHOLE], [*LETTERS, NO_FACE]).right
    assert repeated([*DECISIONS, WHOLE]) == 1
    with_both = replace(WHOLE, samples=WHOLE.samples | {(IMAGES, 0, 30): "image-2"})
    assert verdict(RIGHT, [with_both, ALONE, SPOILT], [NO_FACE, BROKEN]).right
    with_copy = replace(WHOLE, samples=WHOLE.samples | {(IMAGES, 0, 31): "image-2"})
    assert verdict(RIGHT, [with_copy, ALONE, SPOILT], LETTERS).right, "the first one was set aside"


def swap(good: Said, **bad: object) -> Callable[[], Verdict]:
    changed = [replace(good, **bad) if one is good else one for one in DECISIONS]  # type: ignore[arg-type]
    return lambda: verdict(RIGHT, changed, LETTERS)


HALF = {(IMAGES, 0, 0): "image"}


@pytest.mark.parametrize(
    ("judge", "found"),
    [
        (lambda: verdict(RIGHT, [WHOLE, SPOILT], LETTERS), {"lost"}),
        (lambda: verdict(RIGHT, DECISIONS, [NO_FACE, BROKEN]), {"lost"}),
        (lambda: verdict(RIGHT, DECISIONS, [SURPLUS, BROKEN]), {"lost"}),
        (swap(WHOLE, samples=HALF), {"lost", "wrong"}),
        (swap(WHOLE, samples=WHOLE.samples | {(IMAGES, 0, 7): "image"}), {"wrong"}),
        (
            swap(WHOLE, samples=WHOLE.samples | {(IMAGES, 0, 30): "image-2", (IMAGES, 0, 31): "image-2"}),
            {"wrong"},
        ),
        (swap(WHOLE, identity="ben"), {"wrong"}),
        (swap(WHOLE, identity=None), {"wrong"}),
        (swap(ALONE, identity="ann"), {"wrong"}),
        (swap(WHOLE, closed_by="deadline"), {"wrong"}),
        (swap(WHOLE, used=frozenset({"image"})), {"wrong"}),
        (swap(WHOLE, key="t"), {"wrong"}),
        (swap(WHOLE, partition=1), {"wrong"}),
        (swap(SPOILT, missing=(("image", "empty"),)), {"wrong"}),
        (lambda: verdict(RIGHT, DECISIONS, [*LETTERS, replace(SURPLUS, place=(TEXTS, 0, 20))]), {"wrong"}),
        (lambda: verdict(RIGHT, DECISIONS, [SURPLUS, NO_FACE, replace(BROKEN, reason="empty")]), {"wrong"}),
        (swap(ALONE, samples={(IMAGES, 0, 500): "image"}), {"unseen"}),
        (lambda: verdict(RIGHT, DECISIONS, [*LETTERS, replace(BROKEN, place=(IMAGES, 0, 999))]), {"unseen"}),
        (
            lambda: verdict(RIGHT, [*DECISIONS, replace(WHOLE, value=b"{ }")], LETTERS),
            {"duplicate_different"},
        ),
        (
            lambda: verdict(RIGHT, [*DECISIONS, replace(WHOLE, decision_id="again")], LETTERS),
            {"double_final"},
        ),
        (
            lambda: verdict(RIGHT, [replace(WHOLE, supersedes="first"), ALONE, SPOILT], LETTERS),
            {"out_of_order"},
        ),
    ],
)
def test_each_way_of_being_wrong_is_found_and_named(judge: Callable[[], Verdict], found: set[str]) -> None:
    """And nothing else is."""
    assert {name for name, count in judge().counts.items() if count} == found


def test_a_revision_comes_after_what_it_supersedes_and_before_the_final_decision() -> None:
    """Final decisions alone are judged by what they say."""
    early = replace(WHOLE, samples=HALF, decision_id="early", final=False, closed_by=None)
    late = replace(WHOLE, revision=2, supersedes="early")
    assert verdict(RIGHT, [early, late, ALONE, SPOILT], LETTERS).right
    assert verdict(RIGHT, [early, late, early, late, ALONE, SPOILT], LETTERS).right
    assert len(verdict(RIGHT, [late, early, ALONE, SPOILT], LETTERS).out_of_order) == 2


def test_a_plan_is_a_pure_function_of_its_seed_and_holds_every_kind() -> None:
    """So that a scenario can be run again."""
    shape = Shape(mix=dict.fromkeys(Kind, 1), visits=200)
    assert plan(shape, 7) == plan(shape, 7) != plan(shape, 8)
    assert [event.at_ms for event in plan(shape, 7)] == sorted(event.at_ms for event in plan(shape, 7))
    assert set(ORDINARY) <= set(Kind)


def test_every_crash_point_is_a_method_that_the_service_has() -> None:
    """A renamed method would make a scenario that harms nothing."""
    assert all(callable(getattr(point.part, point.method, None)) for point in CRASH_POINTS.values())


def test_the_longest_gap_is_that_of_one_partition() -> None:
    """What another partition says meanwhile fills none, in whatever order all that was read."""
    said = [(0, 1_000), (1, 2_500), (0, 5_000), (1, 2_000), (0, 2_000), (2, 9_000)]
    assert list(longest_gaps_s(said)) == [3.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("gaps_s", "within_s", "fine"),
    [((3.0, 20.0), 20.0, True), ((3.0, 20.1), 20.0, False), ((3.0, 99.0), None, True)],
)
def test_a_gap_beyond_its_bound_is_not_right(
    gaps_s: tuple[float, ...], within_s: float | None, fine: bool
) -> None:
    """Where a scenario bounds it, in any partition; though nothing is lost."""
    report = Report(
        scenario="s",
        seed=1,
        events=1,
        undetermined=0,
        decisions=1,
        dead_letters=0,
        repeated=0,
        uncommitted=0,
        verdict=verdict(RIGHT, DECISIONS, LETTERS),
        forgives=frozenset(),
        sabotaged=False,
        deaths=(),
        silences_s=(),
        gaps_s=gaps_s,
        gap_within_s=within_s,
        peak_rss_mb=0,
        seconds=1.0,
        notes=(),
    )
    assert report.right is fine
