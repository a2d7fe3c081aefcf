"""What was said against what is right: every way of being wrong has a name and a list."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

from faultlab.reference import MODALITIES, Outcomes, Place, Right
from faultlab.witness import Said, SetAside

LATE = frozenset({"late", "window_decided"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verifier's findings; a run is right when all of them are empty."""

    lost: tuple[str, ...]
    """Events without the outcome that is owed to them."""
    wrong: tuple[str, ...]
    """Decisions that lack an input, have one too many, or say what was not planted; letters likewise."""
    unseen: tuple[str, ...]
    """Outputs about inputs that nobody published."""
    duplicate_different: tuple[str, ...]
    """One id at one gallery version with two contents."""
    out_of_order: tuple[str, ...]
    """Revisions that do not count one up from what stands before them, or that follow the final decision."""
    double_final: tuple[str, ...]
    """Inputs that two final decisions speak for; windows with two."""

    @property
    def right(self) -> bool:
        """Whether nothing was found."""
        return not any(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """How much of each was found."""
        return {field.name: len(getattr(self, field.name)) for field in fields(self)}


def verdict(right: Outcomes, decisions: Sequence[Said], letters: Sequence[SetAside]) -> Verdict:
    """Compares all that was said with all that is right."""
    aside = {letter.place: letter for letter in letters}
    # One record of each: repetitions are compared byte by byte.
    standing = list({said.decision_id: said for said in decisions if said.final}.values())
    by_input = defaultdict(set)
    for said in standing:
        for place in said.covers:
            by_input[place].add(said.decision_id)
    return Verdict(
        lost=tuple(_lost(right, by_input.keys(), aside)),
        wrong=tuple(_wrong_decisions(right, standing)) + tuple(_wrong_letters(right, letters)),
        unseen=tuple(_unseen(right, decisions, letters)),
        duplicate_different=tuple(_different(decisions)),
        out_of_order=tuple(_out_of_order(decisions)),
        double_final=tuple(_double(right, by_input)),
    )


def repeated(decisions: Sequence[Said]) -> int:
    """Records that say again, by an equal id, what was said: at least once allows them."""
    return len(decisions) - len({said.decision_id for said in decisions})


def _lost(right: Outcomes, decided: Iterable[Place], aside: dict[Place, SetAside]) -> Iterator[str]:
    decided = set(decided)
    for window in right.windows:
        for place in window.must - decided:
            yield f"{_name(right, place)} is in no decision"
        for place in window.may - decided - aside.keys() - right.markers:
            yield f"{_name(right, place)} was neither decided nor set aside"
    for place in right.dead.keys() - aside.keys():
        yield f"{_name(right, place)} ({right.dead[place]}) was not set aside"


def _wrong_decisions(right: Outcomes, standing: Iterable[Said]) -> Iterator[str]:
    of = {place: window for window in right.windows for place in window.must | window.may}
    for said in standing:
        window = next((of[place] for place in said.covers if place in of), None)
        what = f"decision {said.decision_id[:8]} of {said.subject}"
        if window is None:
            yield f"{what} is about nothing that is to be decided"
        if window is None or window.open:
            continue
        if missing := window.must - said.covers.keys():
            yield f"{what} lacks {_names(right, missing)}"
        if surplus := said.covers.keys() - window.must - window.may - _stand_ins(right, window):
            yield f"{what} has {_names(right, surplus)} too many"
        if len(set(said.covers.values())) < len(said.covers):
            yield f"{what} has two copies of one event"
        for fault in _contradictions(right, window, said):
            yield f"{what}: {fault}"


def _stand_ins(right: Outcomes, window: Right) -> set[Place]:
    """Copies of what need not be decided: the first one may be set aside, and a crash undo the reason."""
    optional = {right.by_place[place].name for place in window.may}
    return {place for place in right.copies if right.by_place[place].name in optional}


def _contradictions(right: Outcomes, window: Right, said: Said) -> Iterator[str]:
    bad = {place for place in said.covers if place in right.dead}
    events = {place: right.by_place[place] for place in said.covers if place in right.by_place}
    usable = {e.modality for place, e in events.items() if not e.marker and place not in bad}
    received = {event.modality for event in events.values() if not event.marker}
    if said.key != window.subject or said.subject != window.subject:
        yield f"its key is {said.key} and its subject {said.subject}, both are {window.subject}"
    if {place[1] for place in said.covers} != {said.partition}:
        yield f"it stands in partition {said.partition}, not in that of its inputs"
    if said.used != usable:
        yield f"it used {sorted(said.used)} of {sorted(usable)}"
    absent = {(modality, "not_received") for modality in MODALITIES - received}
    if set(said.missing) != absent | {(events[place].modality, right.dead[place]) for place in bad}:
        yield f"it misses {said.missing}"
    whole = right.completes and received >= MODALITIES
    closed_by = "complete" if whole else "end_of_subject" if said.markers else "deadline"
    if said.closed_by != closed_by:
        yield f"it was closed by {said.closed_by}, not by {closed_by}"
    if said.identity not in {None, window.person} or ("image" in usable and said.identity != window.person):
        yield f"it says {said.identity or said.outcome}, planted was {window.person or 'a stranger'}"


def _wrong_letters(right: Outcomes, letters: Iterable[SetAside]) -> Iterator[str]:
    may = {place for window in right.windows for place in window.may} | right.copies
    for letter in letters:
        known = right.dead.get(letter.place)
        fine = letter.reason == known or (letter.reason in LATE and letter.place in may)
        if letter.place in right.by_place and not fine:
            yield f"{_name(right, letter.place)} was set aside as {letter.reason}, not {known or 'at all'}"
        if letter.partition != letter.place[1]:
            yield f"the letter of {_name(right, letter.place)} stands in partition {letter.partition}"


def _unseen(right: Outcomes, decisions: Iterable[Said], letters: Iterable[SetAside]) -> Iterator[str]:
    for said in decisions:
        for place, name in said.covers.items():
            if place not in right.by_place or right.by_place[place].name != name:
                yield f"decision {said.decision_id[:8]} speaks for {name} at {place}"
    for letter in letters:
        if letter.place not in right.by_place:
            yield f"a letter of {letter.reason} speaks for {letter.place}"


def _different(decisions: Iterable[Said]) -> Iterator[str]:
    values = defaultdict(set)
    for said in decisions:
        values[said.decision_id, said.gallery_version].add(said.value)
    for (decision_id, version), seen in values.items():
        if len(seen) > 1:
            yield f"decision {decision_id[:8]} at gallery version {version} has {len(seen)} contents"


def _out_of_order(decisions: Iterable[Said]) -> Iterator[str]:
    revisions: dict[str, int] = {}
    settled: set[Place] = set()
    for said in decisions:
        what = f"revision {said.revision} of {said.subject}"
        before = 0 if said.supersedes is None else revisions.get(said.supersedes)
        if before is None or said.revision != before + 1:
            yield f"{what} supersedes {said.supersedes}, which is revision {before}"
        if not said.final and said.decision_id not in revisions and settled & said.covers.keys():
            yield f"{what} follows its final decision"
        revisions.setdefault(said.decision_id, said.revision)
        if said.final:
            settled |= said.covers.keys()


def _double(right: Outcomes, by_input: dict[Place, set[str]]) -> Iterator[str]:
    for place, ids in by_input.items():
        if len(ids) > 1:
            yield f"{_name(right, place)} is in {len(ids)} decisions"
    for window in right.windows:
        if window.open:
            continue
        ids = set().union(*(by_input[place] for place in window.must | window.may if place in by_input))
        if len(ids) > 1:
            yield f"the window of {_names(right, window.must)} has {len(ids)} decisions"


def _names(right: Outcomes, places: Iterable[Place]) -> str:
    return ", ".join(sorted(_name(right, place) for place in places)) or "nothing"


def _name(right: Outcomes, place: Place) -> str:
    topic, partition, offset = place
    event = right.by_place.get(place)
    return f"{event.name if event else '?'}@{topic.split('.')[-2]}/{partition}/{offset}"
