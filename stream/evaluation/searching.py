"""Samples into galleries, and searches as the measures take them, through the ports of the service."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np
import numpy.typing as npt

from index.evaluation import Searches
from index.exact import ExactGallery
from index.faiss_gallery import FaissGallery
from index.gallery import Gallery
from index.policy import Policy
from index.records import (
    Candidate,
    Feature,
    IdentityId,
    Mask,
    Modality,
    SearchResult,
    Template,
    TemplateId,
)
from stream.evaluation.samples import Sample
from stream.recogniser import fuse_features

DEPTH = 20
"""Candidates of a search: as far as the CMC reaches."""
TRIPLES = 4
"""Probes of several photos per person at most, so that nobody with many photos speaks for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is searched, and the truth about it."""

    identity_id: str
    mated: bool
    """Whether that identity is in the gallery that is asked."""
    probe: Mapping[Modality, Feature]
    """May be empty: then nobody is found."""
    photo: str = ""
    """Name of the photo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A query with what the gallery found."""

    query: Query
    result: SearchResult


def gallery_of(samples: Iterable[Sample], policy: Policy) -> FaissGallery:
    """The gallery that runs, with every sample that has a feature enrolled."""
    gallery = FaissGallery(policy)
    enrol(gallery, samples)
    return gallery


def small_gallery_of(samples: Iterable[Sample], policy: Policy) -> ExactGallery:
    """The same for galleries that are made to be asked for their thresholds: nothing is indexed."""
    gallery = ExactGallery(policy)
    enrol(gallery, samples)
    return gallery


def enrol(gallery: Gallery, samples: Iterable[Sample]) -> None:
    """Enrols every sample that has a feature, as the template of its photo's name."""
    for sample in samples:
        if sample.features:
            gallery.enrol(
                Template(
                    identity_id=IdentityId(sample.identity_id),
                    template_id=TemplateId(sample.photo.name),
                    features=sample.features,
                )
            )


def queries(samples: Iterable[Sample], mask: Mask, enrolled: frozenset[str]) -> list[Query]:
    """Each sample, searched by what it has of the mask."""
    return [
        Query(
            identity_id=sample.identity_id,
            mated=sample.identity_id in enrolled,
            probe=sample.seen_by(mask),
            photo=sample.photo.name,
        )
        for sample in samples
    ]


def search_all(gallery: Gallery, asked: Iterable[Query], *, depth: int = DEPTH) -> list[Search]:
    """Every query's search."""
    return [Search(query=query, result=gallery.search(query.probe, depth)) for query in asked]


def fused_queries(
    samples: Iterable[Sample], mask: Mask, images: int, policy: Policy, *, seed: int
) -> list[Query]:
    """Probes of several photos of one person, fused as the recogniser fuses those of one window.

    Args:
        samples: Of enrolled people; those who have too few usable ones are left out.
        mask: What is searched by. Only samples that have all of it count.
        images: Photos a probe.
        policy: Its floors leave weak photos out of a probe.
        seed: Draws which photos go together.
    """
    rng = np.random.default_rng(seed)
    by_identity: dict[str, list[Mapping[Modality, Feature]]] = {}
    for sample in samples:
        if mask <= sample.features.keys():
            by_identity.setdefault(sample.identity_id, []).append(sample.seen_by(mask))
    return [
        Query(
            identity_id=name,
            mated=True,
            probe={
                modality: fuse_features(modality, [shots[i][modality] for i in group], policy)
                for modality in mask
            },
        )
        for name, shots in by_identity.items()
        for group in islice(combinations(rng.permutation(len(shots)), images), TRIPLES)
    ]


def without_mates(searches: Iterable[Search]) -> list[Search]:
    """The same searches as if the probe's identity were not enrolled: its candidate is taken out."""
    return [
        Search(
            query=replace(search.query, mated=False),
            result=replace(
                search.result,
                candidates=tuple(
                    c for c in search.result.candidates if c.identity_id != search.query.identity_id
                ),
            ),
        )
        for search in searches
    ]


def deciding(searches: Iterable[Search], policy: Policy) -> list[Search]:
    """The same searches with those candidates alone whose evidence may match; decisions pass over others."""
    return [
        replace(
            search,
            result=replace(
                search.result, candidates=tuple(c for c in search.result.candidates if may_match(policy, c))
            ),
        )
        for search in searches
    ]


def may_match(policy: Policy, candidate: Candidate) -> bool:
    """Whether what a candidate and its probe have in common is ever enough for a match."""
    return policy.masks[frozenset(candidate.similarity)].may_match


def tabulate(searches: Sequence[Search]) -> Searches:
    """The searches as the measures take them."""
    best = [search.result.candidates[:1] for search in searches]
    return Searches(
        identities=np.array([search.query.identity_id for search in searches]),
        mated=np.array([search.query.mated for search in searches], dtype=np.bool_),
        mate_rank=np.array([_mate_rank(search) for search in searches], dtype=np.int64),
        score=np.array([c[0].score if c else -np.inf for c in best]),
        probability=np.array([c[0].probability if c else 0.0 for c in best]),
    )


def _mate_rank(search: Search) -> int:
    if not search.query.mated:
        return 0
    places = (
        place
        for place, candidate in enumerate(search.result.candidates, start=1)
        if candidate.identity_id == search.query.identity_id
    )
    return next(places, 0)


def every_score(
    gallery: Gallery, asked: Sequence[Query], columns: Mapping[IdentityId, int], *, only_deciding: bool
) -> npt.NDArray[np.float64]:
    """(S, N): the score of every pair of a query and an identity; −∞ where they share no modality.

    Args:
        gallery: Of all N identities.
        asked: The S queries.
        columns: The place of each identity.
        only_deciding: Whether pairs whose evidence may not match are −∞ too.
    """
    policy = gallery.contents().policy
    scores = np.full((len(asked), len(columns)), -np.inf)
    for row, query in enumerate(asked):
        for candidate in gallery.search(query.probe, len(columns)).candidates:
            if not only_deciding or may_match(policy, candidate):
                scores[row, columns[candidate.identity_id]] = candidate.score
    return scores
