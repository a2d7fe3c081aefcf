"""A policy fitted on people who are drawn: it finds what they were drawn by, and holds for others."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from index.errors import PolicyError
from index.faiss_gallery import FaissGallery
from index.fitting.across import fit_ends
from index.fitting.fit import Fitted, fit_policy
from index.fitting.labelled import Doubles, Labelled, folds, mated_pairs, significant
from index.fitting.rows import fit_floor, fit_scaling, fit_weight
from index.records import IMAGE, TEXT, Feature, IdentityId, Template, TemplateId
from index.vectors import unit
from stream.policy_file import format_policy, parse_policy
from tests.factories import contract

DIMENSION = 32
ATTRIBUTES = 6
"""What a face shows and a description says; the face's dimensions are rotated."""
CONTRACTS = {IMAGE: contract(IMAGE), TEXT: contract(TEXT)}
ROTATION = np.linalg.qr(np.random.default_rng(99).standard_normal((DIMENSION, DIMENSION)))[0]


def drawn(count: int, *, seed: int, noise: float = 0.5, words: bool = True) -> list[Labelled]:
    """Three photos of each person; a description shares the person's attributes and adds moods of its own."""
    rng = np.random.default_rng(seed)
    samples = []
    for person in range(count):
        face = rng.standard_normal(DIMENSION)
        for photo in range(3):
            shown = (face + noise * rng.standard_normal(DIMENSION)) @ ROTATION
            said = np.concatenate(
                [face[:ATTRIBUTES] + 0.6 * rng.standard_normal(ATTRIBUTES), 1.2 * rng.standard_normal(10)]
            )
            features = {
                IMAGE: Feature(
                    vector=unit(shown), contract_id=CONTRACTS[IMAGE], quality=float(10 / (1 + noise))
                )
            }
            if words:
                # What all descriptions share comes first: "this is a person with".
                features[TEXT] = Feature(
                    vector=unit(np.concatenate([[4.0], said, np.zeros(15)])), contract_id=CONTRACTS[TEXT]
                )
            samples.append(
                Labelled(identity_id=f"{seed}-{person:03}", photo=f"{person}/{photo}", features=features)
            )
    return samples


def fitted(*, count: int = 60, words: bool = True) -> Fitted:
    clean = drawn(count, seed=1, words=words)
    worn, spoilt = (drawn(count, seed=1, noise=noise, words=words) for noise in (0.9, 20.0))
    return fit_policy(clean, [*worn, *spoilt], policy_id="drawn", contracts=CONTRACTS)


@pytest.fixture(scope="module")
def of_sixty() -> Fitted:
    return fitted()


def enrolled(policy: Fitted, samples: Sequence[Labelled], *modalities: str) -> FaissGallery:
    """The first two samples of everybody, of these modalities."""
    gallery = FaissGallery(policy.policy)
    for sample in samples:
        if not sample.photo.endswith("/2"):
            gallery.enrol(
                Template(
                    identity_id=IdentityId(sample.identity_id),
                    template_id=TemplateId(sample.photo),
                    features={m: f for m, f in sample.features.items() if m in modalities},
                )
            )
    return gallery


def probes(samples: Sequence[Labelled]) -> list[Labelled]:
    return [sample for sample in samples if sample.photo.endswith("/2")]


def test_the_same_people_and_seed_give_the_same_file(of_sixty: Fitted) -> None:
    """To the last digit; and what the file says is the policy."""
    text = format_policy(of_sixty.policy, fitted_on="drawn")
    assert format_policy(fitted().policy, fitted_on="drawn") == text
    assert format_policy(parse_policy(text), fitted_on="drawn") == text


def test_descriptions_never_decide_and_nothing_across_does(of_sixty: Fitted) -> None:
    """Only masks with a face may match."""
    may_match = {mask for mask, row in of_sixty.policy.masks.items() if row.may_match}
    assert may_match == {frozenset({IMAGE}), frozenset({IMAGE, TEXT})}


@pytest.mark.parametrize(("asked", "known"), [(TEXT, IMAGE), (IMAGE, TEXT)])
def test_one_modality_ranks_people_known_by_the_other(of_sixty: Fitted, asked: str, known: str) -> None:
    """Of 60 people who were not fitted on, the right one is among the first ten; by chance a sixth."""
    others = drawn(60, seed=2)
    gallery = enrolled(of_sixty, others, known)
    found = [
        sample.identity_id
        in [c.identity_id for c in gallery.search({asked: sample.features[asked]}, 10).candidates]
        for sample in probes(others)
    ]
    assert np.mean(found) > 0.5


def agreements(gallery: FaissGallery, asked: Sequence[Labelled], shift: int) -> Doubles:
    """Of each face with the description of somebody `shift` further on; 0: with its own."""
    told = []
    for place, sample in enumerate(asked):
        said = asked[(place + shift) % len(asked)].features[TEXT]
        best = gallery.search({**sample.features, TEXT: said}, 1).candidates[0]
        assert best.identity_id == sample.identity_id
        told.append(best.agreement[TEXT])
    return np.array(told)


def test_a_conflict_is_found_where_descriptions_are_swapped_and_seldom_elsewhere(of_sixty: Fitted) -> None:
    """On people who were not fitted on, with and without a description enrolled."""
    others = drawn(120, seed=3)
    for known in ((IMAGE, TEXT), (IMAGE,)):
        gallery = enrolled(of_sixty, others, *known)
        asked = probes(others)

        assert of_sixty.policy.conflict_below is not None
        honest = np.mean(agreements(gallery, asked, 0) < of_sixty.policy.conflict_below)
        swapped = np.mean(agreements(gallery, asked, 7) < of_sixty.policy.conflict_below)
        assert honest < 0.06
        assert swapped > 5 * max(honest, 0.03)


def test_without_descriptions_the_policy_is_for_faces_alone() -> None:
    """No row is made up for words that nobody said."""
    policy = fitted(words=False).policy
    assert policy.modalities == (IMAGE,)
    assert policy.crossing is None
    assert policy.conflict_below is None


def test_too_few_people_are_refused_by_number() -> None:
    """The message says how many there are and how many it takes."""
    with pytest.raises(PolicyError, match="19 people have two photos with a face; a fit needs 20"):
        fitted(count=19)


def test_words_that_stay_with_a_person_count_for_more_than_moods() -> None:
    """The scaling tells attributes from what changes with each photo, and keeps every dimension."""
    samples = drawn(80, seed=4)
    texts = np.stack([sample.features[TEXT].vector for sample in samples])
    scaling = fit_scaling(texts, np.array([sample.identity_id for sample in samples]))
    assert scaling[1 : 1 + ATTRIBUTES].min() > 1.5 * scaling[1 + ATTRIBUTES : 17].max()
    assert (scaling > 0).all()


def test_a_description_that_says_nothing_weighs_nothing() -> None:
    """Words drawn without regard to the person are worth next to nothing beside the face."""
    rng = np.random.default_rng(5)
    names = np.repeat(np.arange(50), 3).astype(str)
    same = (names[:, None] == names[None, :]) & ~np.eye(150, dtype=bool)
    other = (names[:, None] != names[None, :]) & (rng.random(same.shape) < 0.1)
    faces = np.where(same, 0.5, 0.1) + 0.15 * rng.standard_normal(same.shape)
    noise = rng.uniform(-2, 2, same.shape)
    telling = np.clip(np.where(same, 1.0, -1.0) + rng.standard_normal(same.shape), -2, 2)
    silent = fit_weight(faces, noise, same, other, names, np.random.default_rng(0))
    heard = fit_weight(faces, telling, same, other, names, np.random.default_rng(0))
    assert silent < 0.005 < 0.03 < heard


def test_the_floor_is_where_faces_begin_to_be_found() -> None:
    """Nobody is found under 3, everybody over it; two lucky finds move nothing."""
    quality = np.linspace(0, 10, 1001)
    found = quality >= 3.0
    found[[100, 200]] = True
    assert fit_floor(quality, found) == pytest.approx(3.0, abs=0.05)


def test_where_every_face_is_found_the_floor_is_the_worst_that_was_seen() -> None:
    """Nothing is known of what lies below."""
    assert fit_floor(np.linspace(2, 10, 100), np.ones(100, dtype=bool)) == pytest.approx(2.0)


def test_words_that_no_face_was_described_by_project_to_nothing() -> None:
    """They are evidence of nobody; what all descriptions share is evidence of nobody either."""
    samples = drawn(60, seed=6)
    faces, texts = (np.stack([s.features[m].vector for s in samples]) for m in (IMAGE, TEXT))
    ends = fit_ends(faces, texts)
    unknown = np.zeros(DIMENSION, dtype=np.float32)
    unknown[-1] = 1.0
    assert not ends.of_description(unknown).any()
    assert not ends.of_description(unit(texts.mean(axis=0))).any()
    assert np.linalg.norm(ends.of_description(texts[0])) == pytest.approx(1.0, abs=1e-5)


def test_a_photo_and_its_copies_are_no_pair() -> None:
    """A degraded copy beside its original would be the easiest pair of all."""
    clean, worn = drawn(3, seed=7), drawn(3, seed=7, noise=0.9)
    mated, non_mated = mated_pairs(worn, clean)
    assert mated.sum() == 3 * 3 * 2
    assert non_mated.sum() == 9 * 6


def test_each_person_is_held_out_once_and_whole() -> None:
    """Cross-fitting by photos would let a person teach his own test."""
    names = np.array([sample.identity_id for sample in drawn(23, seed=8)])
    held = list(folds(names, np.random.default_rng(0)))
    assert np.sum(held, axis=0).tolist() == [1] * len(names)
    assert all(set(names[out]).isdisjoint(names[~out]) for out in held)


@pytest.mark.parametrize(
    ("value", "written"), [(0.0123456, 0.01235), (-123.456, -123.5), (0.0, 0.0), (9.9996, 10.0)]
)
def test_numbers_are_written_in_four_digits(value: float, written: float) -> None:
    """Rounded by their size, not by their place."""
    assert significant(np.array([value])).tolist() == pytest.approx([written])


def test_a_policy_promises_what_it_keeps(of_sixty: Fitted) -> None:
    """On people who were not fitted on, the mean promise is near the share that is right."""
    others = drawn(120, seed=9)
    gallery = enrolled(of_sixty, others[:180], IMAGE, TEXT)
    said, right = [], []
    for sample in probes(others):
        best = gallery.search(sample.features, 1).candidates[0]
        said.append(best.probability)
        right.append(best.identity_id == sample.identity_id)
    assert np.mean(said) == pytest.approx(np.mean(right), abs=0.1)


def test_a_crossing_whose_ends_are_swapped_is_refused(of_sixty: Fitted) -> None:
    """Faces would be taken for descriptions without anybody noticing."""
    crossing = of_sixty.policy.crossing
    assert crossing is not None
    with pytest.raises(PolicyError, match="it must be from the primary modality image"):
        replace(of_sixty.policy, crossing=replace(crossing, face=TEXT, description=IMAGE))
