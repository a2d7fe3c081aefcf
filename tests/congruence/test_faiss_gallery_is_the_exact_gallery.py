"""FAISS finds; the oracle knows: on every gallery and probe both answer the same, to the last bit."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.crossing import Projection
from index.exact import ExactGallery
from index.faiss_gallery import FaissGallery
from index.policy import Policy
from index.records import IMAGE, TEXT, Feature, IdentityId, Modality, SearchResult, Template, TemplateId
from index.slab import Slab, half_error
from index.vectors import similarity, unit
from tests.factories import AUDIO, crossed, feature, features, mask_rows, modality_rows, policy, template


class Both:
    """The gallery under test beside the oracle, driven alike."""

    def __init__(self, rules: Policy) -> None:
        self.oracle, self.faiss = ExactGallery(rules), FaissGallery(rules)

    def enrol(self, one: Template) -> None:
        self.oracle.enrol(one)
        self.faiss.enrol(one)

    def withdraw(self, identity: str, sample: str | None = None) -> int:
        ids = IdentityId(identity), None if sample is None else TemplateId(sample)
        gone = self.oracle.withdraw(*ids)
        assert self.faiss.withdraw(*ids) == gone
        return gone

    def agree(self, probe: Mapping[Modality, Feature], k: int = 5) -> SearchResult:
        expected, found = self.oracle.search(probe, k), self.faiss.search(probe, k)
        assert found == expected
        return found


def random_features(rng: np.random.Generator, modalities: tuple[Modality, ...], dimension: int) -> dict:
    return {m: feature(rng.standard_normal(dimension), m) for m in modalities}


def random_gallery(rules: Policy, *, seed: int, identities: int, dimension: int) -> Both:
    """Identities of one to three samples, each of a random non-empty set of modalities."""
    rng = np.random.default_rng(seed)
    both = Both(rules)
    masks = [m for size in range(1, len(rules.rows) + 1) for m in combinations(rules.modalities, size)]
    for i in range(identities):
        for s in range(rng.integers(1, 4)):
            mask = masks[rng.integers(len(masks))]
            both.enrol(template(f"p{i:04}", f"s{s}", **{m: rng.standard_normal(dimension) for m in mask}))
    return both


@pytest.mark.parametrize("dimension", [1, 2, 3, 7, 64, 129, 512])
@pytest.mark.parametrize("modalities", [(IMAGE,), (IMAGE, TEXT), (IMAGE, TEXT, AUDIO)], ids=len)
def test_answers_agree_in_every_dimension_and_mask(dimension: int, modalities: tuple[Modality, ...]) -> None:
    """400 identities are more than the first list holds, so the bound is at work too."""
    rules = policy(*modalities)
    rules = rules if len(modalities) == 1 else crossed(rules, dimension)
    both = random_gallery(rules, seed=dimension, identities=400, dimension=dimension)
    rng = np.random.default_rng(dimension + 1)
    for size in range(1, len(modalities) + 1):
        for mask in combinations(modalities, size):
            for k in (1, 5, 500):
                both.agree(random_features(rng, mask, dimension), k)


@pytest.mark.parametrize("weight", [0.0, 0.02, 5.0, 1e6])
@pytest.mark.parametrize("clip", [1e-3, 2.0, 1e3])
def test_the_threshold_algorithm_is_exact_under_adversarial_weights(weight: float, clip: float) -> None:
    """However much the text outweighs the face, nobody outside the lists would have won."""
    rows = modality_rows(IMAGE, TEXT)
    heavy = replace(rows[1], weight=weight, clip=clip)
    both = random_gallery(policy(rows=(rows[0], heavy)), seed=7, identities=800, dimension=8)
    rng = np.random.default_rng(8)
    for _ in range(20):
        both.agree(random_features(rng, (IMAGE, TEXT), 8))


@settings(max_examples=25, deadline=None)
@given(
    scales=st.lists(st.floats(0.01, 100), min_size=7, max_size=7),
    biases=st.lists(st.floats(-20, 20), min_size=7, max_size=7),
    seed=st.integers(0, 2**31),
    k=st.integers(1, 8),
)
def test_the_threshold_algorithm_is_exact_under_any_mask_rows(
    scales: list[float], biases: list[float], seed: int, k: int
) -> None:
    """Whichever masks are favoured, and by how much, the first K are the oracle's first K."""
    masks = {
        mask: replace(row, scale=scale, bias=bias)
        for (mask, row), scale, bias in zip(
            mask_rows(IMAGE, TEXT, AUDIO).items(), scales, biases, strict=True
        )
    }
    both = random_gallery(policy(IMAGE, TEXT, AUDIO, masks=masks), seed=seed, identities=400, dimension=4)
    both.agree(random_features(np.random.default_rng(seed), (IMAGE, TEXT, AUDIO), 4), k)


def test_ties_are_ordered_by_identity_however_they_were_enrolled() -> None:
    """Five hundred identities of one and the same sample: the first K by id."""
    both = Both(policy())
    for i in np.random.default_rng(3).permutation(500):
        both.enrol(template(f"p{i:04}", image=[1, 2, 3], text=[1, 0]))
    found = both.agree(features(image=[1, 2, 2], text=[0, 1]), k=4)
    assert [c.identity_id for c in found.candidates] == ["p0000", "p0001", "p0002", "p0003"]
    assert len({c.score for c in found.candidates}) == 1


@pytest.mark.parametrize("dimension", [3, 16, 129])
def test_look_alikes_closer_than_float16_can_tell_are_told_apart(dimension: int) -> None:
    """More of them than the first list holds: what is scanned cannot order them, the float32 means can."""
    rng = np.random.default_rng(dimension)
    both, someone = Both(policy()), rng.standard_normal(dimension)
    for i in range(600):
        both.enrol(template(f"p{i:04}", image=someone + 1e-5 * rng.standard_normal(dimension), text=[1, 0]))
    probe = someone + 0.5 * rng.standard_normal(dimension)
    for k in (1, 5):
        both.agree(features(image=probe), k)
        both.agree(features(image=probe, text=[0, 1]), k)


@pytest.mark.parametrize("dimension", [1, 2, 15, 16, 17, 128, 512])
@pytest.mark.parametrize("decay", [0.0, 0.5, 3.0])
def test_no_cosine_of_a_slab_is_off_by_more_than_it_says(dimension: int, decay: float) -> None:
    """Steep spectra have components that are subnormal in float16, or nothing at all."""
    rng = np.random.default_rng(dimension)
    rows = unit(rng.standard_normal((300, dimension)) * np.arange(1, dimension + 1) ** -decay)
    slab = Slab(dimension)
    for slot, row in enumerate(rows):
        slab.put(slot, row)
    for probe in (rows[0], unit(np.sign(rows[1])), rows[2]):
        slots = rng.permutation(300)[:50]
        assert np.max(np.abs(slab.cosines(probe, slots) - similarity(rows[slots], probe))) <= half_error(
            dimension
        )
        near, cosines = slab.nearest(probe, 300)
        assert sorted(near) == list(range(300))
        assert np.max(np.abs(cosines - similarity(rows[near], probe))) <= half_error(dimension)


def test_an_empty_gallery_has_no_candidates() -> None:
    """Before the first enrolment and after the last withdrawal."""
    both = Both(policy())
    assert both.agree(features(image=[1, 0])).candidates == ()
    both.enrol(template("ann", image=[1, 0]))
    assert both.withdraw("ann") == 1
    assert both.agree(features(image=[1, 0])).candidates == ()


def test_a_probe_and_a_gallery_without_a_common_modality_have_no_candidates() -> None:
    """A description cannot be compared with faces."""
    both = Both(policy())
    both.enrol(template("ann", image=[1, 0]))
    assert both.agree(features(text=[1, 0])).candidates == ()


def test_a_crossing_ranks_faces_by_a_description_and_descriptions_by_a_face() -> None:
    """Where nothing is in common, each finds the other; where something is, that alone counts."""
    same = Projection(matrix=np.eye(2, dtype=np.float32), offset=np.zeros(2, dtype=np.float32), floor=1e-6)
    rules = crossed(policy(), 2)
    assert rules.crossing
    both = Both(replace(rules, crossing=replace(rules.crossing, of_face=same, of_description=same)))
    both.enrol(template("ann", image=[1, 0]))
    both.enrol(template("bob", text=[1, 0]))
    both.enrol(template("cid", image=[0, 1]))
    both.enrol(template("dee", text=[0, 1]))
    by_words = both.agree(features(text=[3, 1]))
    assert {c.identity_id: set(c.similarity) for c in by_words.candidates} == {
        "ann": {"text>image"},
        "bob": {"text"},
        "cid": {"text>image"},
        "dee": {"text"},
    }
    across = [c.identity_id for c in by_words.candidates if c.identity_id in {"ann", "cid"}]
    assert across == ["ann", "cid"]
    by_face = both.agree(features(image=[1, 3]))
    assert [c.identity_id for c in by_face.candidates if "image>text" in c.similarity] == ["dee", "bob"]
    assert by_face.candidates[-1].template_id == "t1"
    with_both = both.agree(features(image=[1, 3], text=[3, 1]))
    assert all(set(c.similarity) in ({"image"}, {"text"}) for c in with_both.candidates)


def test_words_that_no_face_was_described_by_say_nothing_across() -> None:
    """Such a description is as far from one face as from any other."""
    blind = Projection(
        matrix=np.array([[1, 0, 0]], dtype=np.float32), offset=np.zeros(1, dtype=np.float32), floor=0.1
    )
    rules = crossed(policy(), 3)
    assert rules.crossing
    both = Both(replace(rules, crossing=replace(rules.crossing, of_face=blind, of_description=blind)))
    both.enrol(template("ann", image=[1, 0, 0]))
    both.enrol(template("cid", image=[-1, 0, 0]))
    found = both.agree(features(text=[0, 1, 1]))
    assert [c.similarity for c in found.candidates] == [{"text>image": 0.0}] * 2


def test_the_withdrawn_are_never_found_again() -> None:
    """Every second identity goes; slots and rows are used again by those who come after."""
    both = random_gallery(policy(), seed=11, identities=400, dimension=5)
    for i in range(0, 400, 2):
        assert both.withdraw(f"p{i:04}") > 0
    rng = np.random.default_rng(12)
    for i in range(100):
        both.enrol(template(f"q{i:04}", image=rng.standard_normal(5)))
    found = both.agree(random_features(rng, (IMAGE, TEXT), 5), k=1000)
    names = {c.identity_id for c in found.candidates}
    assert not names & {f"p{i:04}" for i in range(0, 400, 2)}
    assert names >= {f"q{i:04}" for i in range(100)}


def test_a_replaced_sample_counts_no_more() -> None:
    """The same template id enrolled again, with another modality, leaves nothing of the first."""
    both = Both(policy())
    both.enrol(template("ann", "t1", image=[1, 0], text=[1, 0]))
    both.enrol(template("ann", "t1", image=[0, 1]))
    found = both.agree(features(image=[0, 1], text=[1, 0]))
    assert found.candidates[0].similarity == {IMAGE: 1.0}
    assert found.templates == 1


def test_a_probe_of_low_quality_is_searched_without_it() -> None:
    """A blurred face is no evidence: the description alone ranks."""
    rows = modality_rows(IMAGE, TEXT)
    both = Both(policy(rows=(replace(rows[0], quality_floor=11.0), rows[1])))
    both.enrol(template("ann", image=[1, 0], text=[0, 1]))
    blurred = {**features(text=[0, 1]), IMAGE: feature([1, 0], quality=10.9)}
    sharp = {**features(text=[0, 1]), IMAGE: feature([1, 0], quality=11.0)}
    assert both.agree(blurred).candidates[0].similarity.keys() == {TEXT}
    assert both.agree(sharp).candidates[0].similarity.keys() == {IMAGE, TEXT}
