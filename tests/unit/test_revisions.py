"""The laws of revisions: which decisions about a waiting window are published, and what each supersedes."""

from dataclasses import replace

import pytest

from index.records import Outcome
from stream.cli.tail import line_of
from stream.decision_record import covered_events, decision_value, decode_decision
from stream.decision_view import DecisionRecord
from stream.events import ClosedBy, ClosedWindow, Decision, Event, OpenWindow, SubjectId, Window
from stream.revisions import Announced, Announcements, Revisions
from tests.stream_factories import decision, end, image, raw, text

SUBJECT = SubjectId("s")
EARLY, EVERY = Revisions.EARLY_THEN_FINAL, Revisions.EVERY_CHANGE


def span(events: tuple[Event, ...]) -> Window:
    return Window(start_ms=events[0].event_time_ms, end_ms=events[0].event_time_ms + 100)


def waiting(*events: Event, outcome: Outcome = Outcome.NO_MATCH) -> Decision:
    """What would be decided of a window that still waits."""
    return decision(OpenWindow(subject_id=SUBJECT, window=span(events), events=events), outcome=outcome)


def closed(*events: Event, markers: tuple[Event, ...] = ()) -> Decision:
    """What is decided of a closed window."""
    return decision(
        ClosedWindow(
            subject_id=SUBJECT,
            window=span(events),
            closed_by=ClosedBy.DEADLINE,
            events=events,
            markers=markers,
        )
    )


def say(made: Announcements, *decisions: Decision) -> list[tuple[int, str | None] | None]:
    """Revision and what is superseded of each that is published, None of each that is not."""
    said: list[tuple[int, str | None] | None] = []
    for proposed in decisions:
        revised = made.revise(proposed)
        if revised is not None:
            made.published(revised)
        said.append(revised and (revised.revision, revised.supersedes))
    return said


def told(*decisions: Decision) -> list[Announced]:
    """What recovery would remember of these."""
    return [
        Announced(
            decision_id=d.decision_id,
            revision=d.revision,
            subject_id=SUBJECT,
            inputs=frozenset(e.source for e in covered_events(d)),
        )
        for d in decisions
    ]


def test_final_only_says_nothing_before_the_end() -> None:
    """And its one decision is the first revision."""
    made = Announcements(Revisions.FINAL_ONLY)
    match = waiting(image(10), outcome=Outcome.MATCH)
    assert say(made, match, waiting(image(10), text(40)), closed(image(10), text(40))) == [
        None,
        None,
        (1, None),
    ]


def test_every_change_is_a_revision_and_the_last_one_is_final() -> None:
    """Each supersedes the one before.

    ```
    i10     t40     i60                 W
    rev 1   rev 2   rev 3               rev 4, final
    ```
    """
    steps = [
        waiting(image(10)),
        waiting(image(10), text(40)),
        waiting(image(10), text(40), image(60)),
        closed(image(10), text(40), image(60)),
    ]
    ids = [step.decision_id for step in steps]
    assert say(Announcements(EVERY), *steps) == [(1, None), (2, ids[0]), (3, ids[1]), (4, ids[2])]
    assert len(set(ids)) == 4, "also where only finality differs"


def test_a_change_that_changes_no_evidence_is_not_said_again() -> None:
    """A marker that cuts nothing off ends the window; it says nothing about its subject."""
    assert say(Announcements(EVERY), waiting(image(10)), waiting(image(10))) == [(1, None), None]


@pytest.mark.parametrize(
    ("first", "suffices"),
    [
        (waiting(image(10)), False),
        (waiting(image(10), outcome=Outcome.MATCH), True),
        (waiting(image(10), outcome=Outcome.AMBIGUOUS), False),
        (waiting(image(10), text(40)), True),
    ],
    ids=["half and no match", "half and a match", "half and ambiguous", "whole and no match"],
)
def test_an_early_decision_needs_a_match_or_every_expected_modality(first: Decision, suffices: bool) -> None:
    """Less may still become anything."""
    assert (say(Announcements(EARLY), first) == [(1, None)]) is suffices


def test_early_then_final_says_two_things_at_most() -> None:
    """What comes in between is in the final one."""
    early = waiting(image(10), outcome=Outcome.MATCH)
    assert say(
        Announcements(EARLY),
        early,
        waiting(image(10), text(40)),
        closed(image(10), text(40)),
        closed(image(200)),
    ) == [(1, None), None, (2, early.decision_id), (1, None)]


def test_when_windows_move_each_final_decision_supersedes_what_its_events_were_in() -> None:
    """An earlier event moves the anchor; nothing that was announced is left standing.

    ```
    announced   [60  i60  i150 )160   [160  i160 )260
    then i0     [0  i0 i60 )100  [150  i150 i160 )250
    ```
    """
    first, second = waiting(image(60), image(150)), waiting(image(160))
    made = Announcements(EVERY)
    say(made, first, second)
    assert say(made, closed(image(0), image(60)), closed(image(150), image(160))) == [
        (2, first.decision_id),
        (2, second.decision_id),
    ]


@pytest.mark.parametrize("policy", [EARLY, EVERY])
def test_after_a_restart_nothing_is_said_until_all_that_was_announced_came_again(policy: Revisions) -> None:
    """The other topic is read first: to announce the half again would be a step back.

    ```
    announced   rev 1 {i10}   rev 2 {i10 t40}     crash
    comes       t40 ..... i10 ...... i60
    said                             rev 3 {i10 t40 i60}
    ```
    """
    first = waiting(image(10), outcome=Outcome.MATCH)
    second = replace(waiting(image(10), text(40)), revision=2, supersedes=first.decision_id)
    made = Announcements(policy, told(first, second))
    made.came(text(40))
    assert made.awaits(SUBJECT)
    made.came(image(10))
    assert not made.awaits(SUBJECT)
    assert say(made, waiting(image(10), text(40))) == [None], "said before"
    made.came(image(60))
    third = waiting(image(10), text(40), image(60))
    later = (3, second.decision_id)
    assert say(made, third) == [later if policy is EVERY else None]
    final = closed(image(10), text(40), image(60))
    assert say(made, final) == [(4, third.decision_id) if policy is EVERY else later]


def test_a_policy_that_was_changed_still_supersedes_what_was_announced() -> None:
    """A worker restarted with `final_only` does not leave an early decision standing."""
    early = waiting(image(10), outcome=Outcome.MATCH)
    made = Announcements(Revisions.FINAL_ONLY, told(early))
    assert say(made, closed(image(10), text(40))) == [(2, early.decision_id)]


def test_the_id_of_a_final_decision_does_not_depend_on_what_was_announced() -> None:
    """Two workers that said different things early agree on the name of the last word."""
    final = closed(image(10), text(40), markers=(end(50),))
    made = Announcements(EVERY)
    say(made, waiting(image(10)))
    revised = made.revise(final)
    assert revised is not None
    assert (revised.decision_id, revised.revision) == (final.decision_id, 2)


def test_nothing_is_remembered_of_what_is_final() -> None:
    """Memory is bounded by what waits."""
    made = Announcements(EVERY)
    say(made, waiting(image(10)), closed(image(10)))
    assert made.remembered == 0


def test_a_reader_knows_what_is_final() -> None:
    """`final` and `closed_by` go together; a record from before there were revisions is final."""
    for made in (waiting(image(10)), closed(image(10))):
        record = decode_decision(raw(decision_value(made)))
        assert isinstance(record, DecisionRecord)
        assert record.final is made.final is (record.window.closed_by is not None)
        assert ("may be revised" in line_of(record, 0)) is not made.final
    old = decision_value(closed(image(10))).replace(b'"final":true,', b"")
    record = decode_decision(raw(old))
    assert isinstance(record, DecisionRecord)
    assert record.final
