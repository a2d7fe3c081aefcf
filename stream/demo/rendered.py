"""Rendered people for a machine without photos: portraits in all cores, before anything is timed."""

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from stream.demo.people import People, Person, Photo
from stream.demo.portraits import caption, portrait_jpeg

DATA_NAME = "rendered people"
ENROLLED_PHOTOS = 2
SIZE_PX = 250
CHUNK = 4
"""Photos a task: 0.2 s of work, so that progress moves and Ctrl-C is heard."""

PEOPLE_APART = 1_000_000
"""Seeds of one run's people; another seed of the run gives other people."""

Progress = Callable[[int, int], None]
"""Told how many photos are ready, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderPlan:
    """How many people to render, and how many photos of each."""

    enrolled: int
    strangers: int
    probes: int
    """Photos of each enrolled person that are searched for; strangers have as many."""
    seed: int = 0

    @property
    def photos(self) -> tuple[tuple[int, int], ...]:
        """(person, photo) of everything there is to render."""
        return tuple(
            (person, photo)
            for person in range(self.enrolled + self.strangers)
            for photo in range(self.probes + (ENROLLED_PHOTOS if person < self.enrolled else 0))
        )


def _render(job: tuple[int, int, int]) -> Photo:
    """One photo; a function of the module so that another process can run it."""
    seed, person, number = job
    jpeg, attributes = portrait_jpeg(seed * PEOPLE_APART + person, number, SIZE_PX)
    return Photo(name=f"{_name(person)}/{number}", caption=caption(attributes), source=jpeg)


def _name(person: int) -> str:
    return f"person-{person:05d}"


def render_people(
    plan: RenderPlan, *, processes: int = 1, progress: Progress = lambda _done, _of: None
) -> People:
    """Everybody of the plan; the same plan gives the same people, in however many processes."""
    by_person: dict[int, list[Photo]] = {}
    for done, ((person, _), photo) in enumerate(
        zip(plan.photos, _rendered(plan, processes), strict=True), start=1
    ):
        by_person.setdefault(person, []).append(photo)
        progress(done, len(plan.photos))
    persons = (_person(plan, person, photos) for person, photos in by_person.items())
    return People(data=DATA_NAME, persons=tuple(persons))


def _rendered(plan: RenderPlan, processes: int) -> Iterator[Photo]:
    jobs = [(plan.seed, person, photo) for person, photo in plan.photos]
    if processes == 1:
        yield from map(_render, jobs)
        return
    # A fresh interpreter each: a fork would copy the threads of whatever runs here already.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context)
    try:
        yield from pool.map(_render, jobs, chunksize=CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def _person(plan: RenderPlan, person: int, photos: list[Photo]) -> Person:
    share = ENROLLED_PHOTOS if person < plan.enrolled else 0
    return Person(identity_id=_name(person), enrolled=tuple(photos[:share]), probes=tuple(photos[share:]))
