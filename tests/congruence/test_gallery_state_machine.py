"""Any history of enrolments, withdrawals and searches: the FAISS gallery stays the oracle's equal."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from index.exact import ExactGallery
from index.faiss_gallery import FaissGallery
from index.records import IMAGE, TEXT, IdentityId, Template, TemplateId
from tests.factories import AUDIO, crossed, feature, policy

DIMENSION = 3
MODALITIES = (IMAGE, TEXT, AUDIO)

identities = st.sampled_from([IdentityId(name) for name in ("ann", "bob", "cid", "dee", "eve")])
samples = st.sampled_from([TemplateId(name) for name in ("a", "b", "c")])
some_modalities = st.sets(st.sampled_from(MODALITIES), min_size=1)
seeds = st.integers(0, 5)  # few, so that equal vectors, and with them ties, are common


def drawn(modalities: set, seed: int) -> dict:
    return {m: feature(np.random.default_rng(seed).standard_normal(DIMENSION), m) for m in modalities}


class Histories(RuleBasedStateMachine):
    """Both galleries driven by the same commands."""

    def __init__(self) -> None:
        super().__init__()
        rules = crossed(policy(*MODALITIES), DIMENSION)
        self.oracle, self.faiss = ExactGallery(rules), FaissGallery(rules)

    @rule(identity=identities, sample=samples, modalities=some_modalities, seed=seeds)
    def enrol(self, identity: IdentityId, sample: TemplateId, modalities: set, seed: int) -> None:
        one = Template(identity_id=identity, template_id=sample, features=drawn(modalities, seed))
        self.oracle.enrol(one)
        self.faiss.enrol(one)

    @rule(identity=identities, sample=st.none() | samples)
    def withdraw(self, identity: IdentityId, sample: TemplateId | None) -> None:
        assert self.oracle.withdraw(identity, sample) == self.faiss.withdraw(identity, sample)

    @rule(modalities=some_modalities, seed=seeds, k=st.integers(1, 6))
    def search(self, modalities: set, seed: int, k: int) -> None:
        probe = drawn(modalities, seed)
        assert self.oracle.search(probe, k) == self.faiss.search(probe, k)

    @invariant()
    def they_hold_the_same(self) -> None:
        assert len(self.oracle) == len(self.faiss)
        assert self.oracle.templates == self.faiss.templates
        assert self.oracle.version == self.faiss.version

    @invariant()
    def no_slot_is_lost(self) -> None:
        """Every identity has one row in each slab of its modalities, and no slab has any other."""
        held = self.faiss.contents().identities.values()
        for modality in (*MODALITIES, *self.oracle.contents().policy.crossings):
            slab = self.faiss._slabs.get(modality)
            assert (len(slab) if slab else 0) == sum(modality in identity.means for identity in held)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
