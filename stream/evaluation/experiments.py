"""Experiments beside the plain searches: several photos, missing modalities, swapped texts, the article."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from index.calibration import thresholds_for
from index.evaluation import Bools, Searches
from index.gallery import Gallery
from index.policy import Policy
from index.records import IMAGE, TEXT, Mask, Outcome
from stream.demo.article import Appearance, nearest
from stream.evaluation.degrade import drop_modalities
from stream.evaluation.galleries import pool
from stream.evaluation.rates import FPIRS, Answers, Resampling, answers_by_target, rates, rates_of, verdicts
from stream.evaluation.report import Conflicts, Confusion, Fault, Missing, Rates
from stream.evaluation.samples import Sample
from stream.evaluation.searching import (
    Query,
    Search,
    deciding,
    fused_queries,
    gallery_of,
    queries,
    search_all,
    tabulate,
    without_mates,
)

BOTH: Mask = frozenset({IMAGE, TEXT})
FRAMES = 3
"""Photos of a probe that has several."""
MISSING_SHARE = 0.4
"""Of the records, on each side, that lose one modality."""
CONFLICT_TARGET = 0.01
CONFUSIONS = 8
"""Of each fault that are shown."""


def frames(
    probes: Sequence[Sample], gallery: Gallery, mask: Mask, enrolled: frozenset[str], resampling: Resampling
) -> Rates | None:
    """Probes of several photos; the non-mated are the same without their mates.

    None where nobody has photos enough.
    """
    of_enrolled = [sample for sample in probes if sample.identity_id in enrolled]
    asked = fused_queries(of_enrolled, mask, FRAMES, gallery.contents().policy, seed=resampling.seed)
    if not asked:
        return None
    mated = search_all(gallery, asked)
    return rates_of([*mated, *without_mates(mated)], gallery, mask, resampling)


def missing(
    enrolled: Sequence[Sample],
    probes: Sequence[Sample],
    policy: Policy,
    *,
    draws: int,
    resampling: Resampling,
) -> Missing:
    """Records of which a share has lost one modality, enrolled and searched; drawn several times."""
    names = frozenset(sample.identity_id for sample in enrolled)
    parts: list[Searches] = []
    accepted: list[Searches] = []
    said: list[Mapping[float, Answers]] = []
    for draw in range(draws):
        kept, asked = (_losing(samples, seed=resampling.seed + draw) for samples in (enrolled, probes))
        gallery = gallery_of(kept, policy)
        found = search_all(gallery, queries(asked, BOTH, names))
        parts.append(tabulate(found))
        accepted.append(tabulate(deciding(found, policy)))
        said.append(answers_by_target(found, gallery, BOTH))
    return Missing(
        share=MISSING_SHARE,
        draws=draws,
        ours=rates(
            pool(parts),
            pool(accepted),
            {target: _pool([one[target] for one in said]) for target in FPIRS},
            resampling,
        ),
        article=article(enrolled, probes, resampling, lose=True),
    )


def _losing(samples: Sequence[Sample], *, seed: int) -> list[Sample]:
    kept = drop_modalities([sample.features for sample in samples], share=MISSING_SHARE, seed=seed)
    return [replace(sample, features=features) for sample, features in zip(samples, kept, strict=True)]


def _pool(parts: Sequence[Answers]) -> Answers:
    return Answers(
        matched=np.concatenate([part.matched for part in parts]),
        returned=np.concatenate([part.returned for part in parts]),
        threshold=None,
    )


def conflicts(
    probes: Sequence[Sample], gallery: Gallery, enrolled: frozenset[str], resampling: Resampling
) -> Conflicts | None:
    """How often a description of somebody else is noticed, and an honest one is doubted.

    None where fewer than two enrolled people have probes with both modalities.
    """
    honest = [query for query in queries(probes, BOTH, enrolled) if query.probe.keys() >= BOTH]
    mated = [query for query in honest if query.mated]
    if len({query.identity_id for query in mated}) < 2:
        return None
    policy = gallery.contents().policy
    thresholds = thresholds_for(gallery, CONFLICT_TARGET)

    def doubted(asked: Sequence[Query]) -> tuple[Searches, Bools]:
        found = search_all(gallery, asked)
        said = verdicts(found, thresholds, policy)
        return tabulate(found), np.array([verdict.outcome is Outcome.CONFLICT for verdict in said])

    swapped, found = doubted(_swapped(mated, seed=resampling.seed))
    truly, false = doubted(honest)
    return Conflicts(
        target_fpir=CONFLICT_TARGET,
        found=resampling.share(found, swapped.mated, swapped),
        false=resampling.share(false, truly.mated, truly),
        false_strangers=resampling.share(false, ~truly.mated, truly),
    )


def _swapped(asked: Sequence[Query], *, seed: int) -> list[Query]:
    """Each with the description of a probe of somebody else, drawn."""
    rng = np.random.default_rng(seed)
    names = np.array([query.identity_id for query in asked])
    return [
        replace(
            query,
            probe={
                **query.probe,
                TEXT: asked[int(rng.choice(np.flatnonzero(names != query.identity_id)))].probe[TEXT],
            },
        )
        for query in asked
    ]


def article(
    enrolled: Sequence[Sample], probes: Sequence[Sample], resampling: Resampling, *, lose: bool = False
) -> Rates:
    """The founding article's pipeline on the same photos and captions.

    Args:
        enrolled: Whose photos and captions it gets.
        probes: What is searched, clean.
        resampling: See `Resampling`.
        lose: Whether the records lose the same modalities as in the first draw of `missing`.
    """
    known = {sample.identity_id for sample in enrolled}
    records, asked = (
        [
            Appearance(photo=s.photo, mask=_left(s, after) if lose else BOTH, truth=s.identity_id)
            for s, after in zip(samples, _losing(samples, seed=resampling.seed), strict=True)
        ]
        for samples in (enrolled, probes)
    )
    found = nearest(records, asked)
    mated = np.array([sample.identity_id in known for sample in probes])
    right = np.array([one.identity_id == s.identity_id for one, s in zip(found, probes, strict=True)])
    searches = Searches(
        identities=np.array([sample.identity_id for sample in probes]),
        mated=mated,
        mate_rank=(mated & right).astype(np.int64),
        score=np.array([one.similarity for one in found]),
        probability=np.zeros(len(found)),
    )
    return rates(searches, searches, {}, resampling)


def _left(before: Sample, after: Sample) -> Mask:
    """What the article may see: it needs no face, so that what is unusable for us is not lost to it."""
    return BOTH - (before.features.keys() - after.features.keys())


def confusions(found: Sequence[Search], enrolled: Sequence[Sample]) -> tuple[Confusion, ...]:
    """The searches at the edge: strangers by their score, wrong ones by theirs, the weakest right ones."""
    own_photo: dict[str, str] = {}
    for sample in enrolled:
        own_photo.setdefault(sample.identity_id, sample.photo.name)
    by_fault: dict[Fault, list[Confusion]] = {fault: [] for fault in Fault}
    for search in found:
        if search.result.candidates:
            one = _confusion(search, own_photo)
            by_fault[one.fault].append(one)
    for fault, of_fault in by_fault.items():
        of_fault.sort(key=lambda one: (one.score if fault is Fault.WEAK else -one.score, one.photo))
    return tuple(one for of_fault in by_fault.values() for one in of_fault[:CONFUSIONS])


def _confusion(search: Search, own_photo: Mapping[str, str]) -> Confusion:
    query, best = search.query, search.result.candidates[0]
    right = best.identity_id == query.identity_id
    fault = Fault.STRANGER if not query.mated else Fault.WEAK if right else Fault.WRONG
    return Confusion(
        fault=fault,
        identity_id=query.identity_id,
        photo=query.photo,
        score=best.score,
        returned_id=best.identity_id,
        returned_photo=best.template_id,
        own_photo=own_photo.get(query.identity_id) if fault is Fault.WRONG else None,
    )
