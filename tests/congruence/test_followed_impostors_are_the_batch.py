"""Any history of a gallery: the impostor scores that follow it are those of its contents, to the bit."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from index.base import BaseGallery
from index.faiss_gallery import FaissGallery
from index.impostors import Impostors
from index.leave_one_out import impostor_scores
from index.policy import Policy
from index.records import IMAGE, TEXT, Feature, IdentityId, Modality, Template, TemplateId
from index.roll import Identity
from tests.factories import AUDIO, crossed, feature, modality_rows, people, policy, template

DIMENSION = 3
MODALITIES = (IMAGE, TEXT, AUDIO)
NAMES = tuple(IdentityId(f"p{n:02}") for n in range(16))
"""More than a search remembers, so that lists fill, overflow and run dry."""

identities = st.sampled_from(NAMES)
samples = st.sampled_from([TemplateId(name) for name in ("a", "b")])
some_modalities = st.sets(st.sampled_from(MODALITIES), min_size=1)
seeds = st.integers(0, 9)  # few, so that equal vectors, and with them ties, are common
qualities = st.sampled_from([None, 5.0, 15.0])
limits = st.sampled_from([0, 1, 3, 8, 1000])


def floored() -> Policy:
    """A floor on images, so that some samples are enrolled and never searched."""
    rows = modality_rows(*MODALITIES)
    floored = policy(*MODALITIES, rows=(replace(rows[0], quality_floor=10.0), *rows[1:]))
    return crossed(floored, DIMENSION)


def drawn(modalities: set[Modality], seed: int, quality: float | None) -> dict[Modality, Feature]:
    return {
        m: feature(np.random.default_rng([seed, len(m)]).standard_normal(DIMENSION), m, quality)
        for m in sorted(modalities)
    }


class Followed:
    """A gallery whose every change is told to the impostors."""

    def __init__(self, gallery: BaseGallery, limit: int) -> None:
        self.gallery, self.limit = gallery, limit
        self.impostors = Impostors(gallery, limit=limit)

    def enrol(self, one: Template) -> None:
        self._change(one.identity_id, lambda: self.gallery.enrol(one))

    def withdraw(self, identity: IdentityId, sample: TemplateId | None = None) -> None:
        self._change(identity, lambda: self.gallery.withdraw(identity, sample))

    def _change(self, identity: IdentityId, make: Callable[[], object]) -> None:
        before = self._enrolled(identity)
        make()
        self.impostors.follow(before, self._enrolled(identity))

    def _enrolled(self, identity: IdentityId) -> Identity | None:
        return self.gallery.contents().identities.get(identity)

    def check(self) -> None:
        found = self.impostors.scores()
        batch = impostor_scores(self.gallery.contents(), limit=self.limit)
        assert {m: s.tolist() for m, s in found.items()} == {m: s.tolist() for m, s in batch.items()}


class Histories(RuleBasedStateMachine):
    """Enrolments, replacements and withdrawals by chance; the impostors are taken up in the middle."""

    @initialize(
        limit=limits,
        first=st.lists(st.tuples(identities, samples, some_modalities, seeds), max_size=20),
    )
    def take_up(self, limit: int, first: list[tuple[IdentityId, TemplateId, set[Modality], int]]) -> None:
        gallery = FaissGallery(floored())
        for identity, sample, modalities, seed in first:
            gallery.enrol(
                Template(identity_id=identity, template_id=sample, features=drawn(modalities, seed, None))
            )
        self.followed = Followed(gallery, limit)

    @rule(identity=identities, sample=samples, modalities=some_modalities, seed=seeds, quality=qualities)
    def enrol(
        self,
        identity: IdentityId,
        sample: TemplateId,
        modalities: set[Modality],
        seed: int,
        quality: float | None,
    ) -> None:
        features = drawn(modalities, seed, quality)
        self.followed.enrol(Template(identity_id=identity, template_id=sample, features=features))

    @rule(identity=identities, sample=st.none() | samples)
    def withdraw(self, identity: IdentityId, sample: TemplateId | None) -> None:
        self.followed.withdraw(identity, sample)

    @invariant()
    def it_is_the_batch(self) -> None:
        if hasattr(self, "followed"):
            self.followed.check()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("limit", [20, 1000])
def test_a_gallery_that_comes_and_goes_is_followed(limit: int) -> None:
    """Sixty people of a real dimension enrol one after the other, then leave in another order."""
    faces = people(60, 128, spread=0.7, samples=2, seed=1)
    words = people(60, 64, spread=0.7, samples=2, seed=2)
    followed = Followed(FaissGallery(policy()), limit)
    for n, s in np.ndindex(60, 2):
        both = {"image": faces[n, s], "text": words[n, s]}
        followed.enrol(template(f"p{n:02}", f"s{s}", **(both if n % 3 else {"image": faces[n, s]})))
        followed.check()
    for n in np.random.default_rng(3).permutation(60):
        followed.withdraw(IdentityId(f"p{n:02}"))
        followed.check()


def test_a_modality_may_come_back_in_another_dimension() -> None:
    """Where the policy does not fix D, the last vector of a modality takes it along."""
    followed = Followed(FaissGallery(policy()), 1000)
    for dimension in (3, 5):
        for n in range(4):
            vectors = {"image": np.eye(dimension)[n % dimension] + 0.1 * n, "text": np.eye(4)[n]}
            followed.enrol(template(f"p{n}", "t", **vectors))
        followed.check()
        for n in range(4):
            followed.enrol(template(f"p{n}", "t", text=np.eye(4)[n]))
            followed.check()
