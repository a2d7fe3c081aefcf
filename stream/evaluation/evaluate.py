"""The whole evaluation: people and a policy in, a `Report` out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from index.evaluation import Measure
from index.faiss_gallery import FaissGallery
from index.policy import Policy
from index.records import IMAGE, TEXT, Mask
from stream.demo.errors import PeopleError
from stream.demo.people import Photo
from stream.evaluation.degrade import Degradation
from stream.evaluation.experiments import BOTH, article, conflicts, confusions, frames, missing
from stream.evaluation.galleries import Scored, calibration, draw_galleries, realised
from stream.evaluation.rates import Resampling, curves, difference, rates_of
from stream.evaluation.report import SCHEMA_VERSION, Calibration, Missing, Rates, Realised, Report, Run
from stream.evaluation.samples import CLEAN, EVERY_CONDITION, Cast, Condition, Progress, Sample
from stream.evaluation.searching import (
    Search,
    deciding,
    every_score,
    gallery_of,
    queries,
    search_all,
    tabulate,
)

FUSED, ALONE = "image+text", "image"
MASKS: Mapping[str, Mask] = {FUSED: BOTH, ALONE: frozenset({IMAGE}), "text": frozenset({TEXT})}
"""The rows of the report."""
MIX = Condition(degradation=Degradation.MIX)
QUICK_CONDITIONS = (Condition(), MIX)

Extract = Callable[[Sequence[tuple[str, Photo]], Condition, str], list[Sample]]
"""Samples of photos, each with its identity, in a condition; and how progress calls them."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    seed: int
    conditions: tuple[Condition, ...] = EVERY_CONDITION
    quick: bool = False
    resamples: int = 1000
    gallery_draws: int = 40
    missing_draws: int = 5


def plan_of(*, seed: int, conditions: tuple[Condition, ...], quick: bool) -> Plan:
    """The plan of a command; where it names no conditions: all, or when in haste the clean and the mixed."""
    if not quick:
        return Plan(seed=seed, conditions=conditions or EVERY_CONDITION)
    return Plan(
        seed=seed,
        conditions=conditions or QUICK_CONDITIONS,
        quick=True,
        resamples=200,
        gallery_draws=8,
        missing_draws=1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is evaluated, by the names that the report calls it."""

    version: str
    data: str
    pack: str
    policy: Policy
    """Bound to the contracts of the extractors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What the experiments share."""

    plan: Plan
    policy: Policy
    resampling: Resampling
    enrolled: Sequence[Sample]
    probes: Mapping[str, Sequence[Sample]]
    """What is searched, of the enrolled and of strangers, by condition; clean among them."""
    gallery: FaissGallery
    names: frozenset[str]
    """Identities in the gallery."""
    masks: Mapping[str, Mask]
    """Those that some clean probe has; the first is the fullest."""
    progress: Progress

    @property
    def clean(self) -> Sequence[Sample]:
        return self.probes[CLEAN]

    def searches(self, samples: Sequence[Sample], mask: Mask) -> list[Search]:
        return search_all(self.gallery, queries(samples, mask, self.names))

    def doing(self, what: str, work: Callable[[], T]) -> T:
        self.progress(what, 0, 1)
        result = work()
        self.progress(what, 1, 1)
        return result


def evaluate(subject: Subject, cast: Cast, extract: Extract, plan: Plan, progress: Progress) -> Report:
    """Measures everything; the same photos, plan and versions give the same report.

    Raises:
        PeopleError: A photo cannot be read, or none gives a feature.
    """
    enrolled = extract(
        [(person.identity_id, photo) for person in cast.enrolled for photo in person.enrolled],
        Condition(),
        "enrolled photos",
    )
    searched = [(one.identity_id, photo) for one in (*cast.enrolled, *cast.strangers) for photo in one.probes]
    probes = {
        condition.name: extract(searched, condition, f"searched photos, {condition.name}")
        for condition in dict.fromkeys((Condition(), *plan.conditions))
    }
    gallery = gallery_of(enrolled, subject.policy)
    masks = {
        name: mask
        for name, mask in MASKS.items()
        if any(mask <= sample.features.keys() for sample in probes[CLEAN])
    }
    if not masks or not len(gallery):
        raise PeopleError(
            f"no face and no words were found in {len(searched)} searched or {len(enrolled)} enrolled "
            "photos; are they photos of faces?"
        )
    scene = _Scene(
        plan=plan,
        policy=subject.policy,
        resampling=Resampling(seed=plan.seed, resamples=plan.resamples),
        enrolled=enrolled,
        probes=probes,
        gallery=gallery,
        names=frozenset(sample.identity_id for sample in enrolled if sample.features),
        masks=masks,
        progress=progress,
    )
    return _report(scene, subject)


def _report(scene: _Scene, subject: Subject) -> Report:
    fullest = scene.searches(scene.clean, next(iter(scene.masks.values())))
    realised_by_mask, calibration_by_mask = _over_sizes(scene)
    conditions, fused_minus_image = _conditions(scene)
    return Report(
        schema_version=SCHEMA_VERSION,
        run=_run(scene, subject, fullest),
        conditions=conditions,
        fused_minus_image=fused_minus_image,
        curves={
            name: curves(tabulate(scene.searches(scene.clean, mask))) for name, mask in scene.masks.items()
        },
        frames=scene.doing("probes of several photos", lambda: _frames(scene)),
        missing=scene.doing("missing modalities", lambda: _missing(scene)),
        conflicts=scene.doing(
            "swapped descriptions",
            lambda: conflicts(scene.clean, scene.gallery, scene.names, scene.resampling),
        ),
        realised=realised_by_mask,
        calibration=calibration_by_mask,
        article=scene.doing(
            "the article's pipeline", lambda: article(scene.enrolled, scene.clean, scene.resampling)
        ),
        confusions=confusions(fullest, scene.enrolled),
    )


def _run(scene: _Scene, subject: Subject, found: Sequence[Search]) -> Run:
    mated = sum(search.query.mated for search in found)
    return Run(
        version=subject.version,
        data=subject.data,
        pack=subject.pack,
        contracts=dict(sorted(subject.policy.contracts.items())),
        policy=subject.policy.policy_id,
        seed=scene.plan.seed,
        quick=scene.plan.quick,
        resamples=scene.plan.resamples,
        identities=len(scene.gallery),
        templates=scene.gallery.templates,
        mated=mated,
        non_mated=len(found) - mated,
        unusable={
            name: {m: sum(m not in sample.features for sample in samples) for m in (IMAGE, TEXT)}
            for name, samples in {"enrolled": scene.enrolled, **scene.probes}.items()
        },
    )


def _conditions(
    scene: _Scene,
) -> tuple[Mapping[str, Mapping[str, Rates]], Mapping[str, Mapping[str, Measure]]]:
    """Rates by condition and mask, and what the fused masks cost or gain beside the image alone."""
    rows: dict[str, Mapping[str, Rates]] = {}
    differences: dict[str, Mapping[str, Measure]] = {}
    for done, condition in enumerate(scene.plan.conditions, start=1):
        # A degradation is of the photo: without one the row would be the clean one over again.
        found = {
            name: scene.searches(scene.probes[condition.name], mask)
            for name, mask in scene.masks.items()
            if IMAGE in mask or condition.name == CLEAN
        }
        rows[condition.name] = {
            name: rates_of(searches, scene.gallery, scene.masks[name], scene.resampling)
            for name, searches in found.items()
        }
        if FUSED in found:
            fused, alone = (tabulate(deciding(found[name], scene.policy)) for name in (FUSED, ALONE))
            differences[condition.name] = difference(fused, alone, scene.resampling)
        scene.progress("rates by condition", done, len(scene.plan.conditions))
    return rows, differences


def _missing(scene: _Scene) -> Missing | None:
    if BOTH not in scene.masks.values():
        return None
    draws, resampling = scene.plan.missing_draws, scene.resampling
    return missing(scene.enrolled, scene.clean, scene.policy, draws=draws, resampling=resampling)


def _frames(scene: _Scene) -> Mapping[str, Mapping[str, Rates]]:
    return {
        condition: {
            name: found
            for name, mask in scene.masks.items()
            if IMAGE in mask
            and (found := frames(samples, scene.gallery, mask, scene.names, scene.resampling)) is not None
        }
        for condition, samples in scene.probes.items()
        if condition in {CLEAN, MIX.name}
    }


def _over_sizes(
    scene: _Scene,
) -> tuple[Mapping[str, Mapping[str, Mapping[str, Realised]]], Mapping[str, Mapping[str, Calibration]]]:
    """Realised FPIR of the masks that may match, and calibration of all."""
    columns = {name: column for column, name in enumerate(sorted(scene.gallery.contents().identities))}
    drawn = draw_galleries(
        scene.enrolled,
        columns,
        scene.policy,
        draws=scene.plan.gallery_draws,
        seed=scene.plan.seed,
        progress=scene.progress,
    )
    found: dict[str, Mapping[str, Mapping[str, Realised]]] = {}
    said: dict[str, Mapping[str, Calibration]] = {}
    for done, (name, mask) in enumerate(scene.masks.items(), start=1):
        asked = queries(scene.clean, mask, scene.names)
        decides = scene.policy.masks[mask].may_match
        scores = every_score(scene.gallery, asked, columns, only_deciding=decides)
        scored = Scored(queries=asked, mask=mask, scores=scores)
        if decides:
            found[name] = realised(scored, mask, drawn, columns, scene.resampling)
        said[name] = calibration(scored, scene.policy, drawn, columns, scene.resampling)
        scene.progress("rates over gallery sizes", done, len(scene.masks))
    return found, said
