"""What both galleries owe the port: enrolment, withdrawal, versions, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from index.base import BaseGallery
from index.errors import ContractError, GalleryError, PolicyError, UnknownIdentityError, VectorError
from index.exact import ExactGallery
from index.faiss_gallery import FaissGallery
from index.gallery import Gallery
from index.records import IMAGE, TEXT, ContractId, IdentityId, TemplateId
from tests.factories import AUDIO, feature, features, modality_rows, policy, template


@pytest.fixture(params=[ExactGallery, FaissGallery], ids=["exact", "faiss"])
def gallery(request: pytest.FixtureRequest) -> BaseGallery:
    return request.param(policy())


def test_it_is_a_gallery(gallery: Gallery) -> None:
    """The port's words, empty."""
    assert (len(gallery), gallery.templates, gallery.version) == (0, 0, 0)


def test_identities_and_templates_are_counted_apart(gallery: BaseGallery) -> None:
    """Three samples of two identities."""
    for one in (template("ann", "a"), template("ann", "b"), template("bob", "a")):
        gallery.enrol(replace(one, features=features(image=[1, 0])))
    assert (len(gallery), gallery.templates, gallery.version) == (2, 3, 3)


def test_a_template_enrolled_twice_is_one(gallery: BaseGallery) -> None:
    """The gallery topic replays; the second replaces the first."""
    for _ in range(2):
        gallery.enrol(template("ann", "a", image=[1, 0]))
    assert (len(gallery), gallery.templates) == (1, 1)


def test_the_order_of_enrolment_leaves_no_trace() -> None:
    """The robust mean is taken over samples by id: every worker that read the topic holds the same bits."""
    rng = np.random.default_rng(5)
    samples = [template("ann", f"s{i}", image=rng.standard_normal(16)) for i in range(6)]
    means = []
    for order in (samples, samples[::-1], [*samples[3:], *samples[:3]]):
        gallery = FaissGallery(policy())
        for one in order:
            gallery.enrol(one)
        means.append(gallery.identity(IdentityId("ann")).means[IMAGE].tobytes())
    assert len(set(means)) == 1


def test_the_last_template_takes_its_identity_along(gallery: BaseGallery) -> None:
    """An identity without samples is not enrolled."""
    gallery.enrol(template("ann", "a", image=[1, 0]))
    gallery.enrol(template("ann", "b", image=[0, 1]))
    assert gallery.withdraw(IdentityId("ann"), TemplateId("a")) == 1
    assert gallery.withdraw(IdentityId("ann"), TemplateId("a")) == 0
    assert gallery.withdraw(IdentityId("ann"), TemplateId("b")) == 1
    assert len(gallery) == 0


def test_an_identity_is_withdrawn_with_all_its_templates(gallery: BaseGallery) -> None:
    """Erasure is one call; what is not there cannot be withdrawn again."""
    gallery.enrol(template("ann", "a", image=[1, 0]))
    gallery.enrol(template("ann", "b", image=[0, 1]))
    assert gallery.withdraw(IdentityId("ann")) == 2
    assert gallery.withdraw(IdentityId("ann")) == 0
    with pytest.raises(UnknownIdentityError, match="'ann' is not enrolled"):
        gallery.identity(IdentityId("ann"))


def test_versions_count_up_unless_they_are_told(gallery: BaseGallery) -> None:
    """A follower of the topic says which version a change makes, even where it changes nothing."""
    gallery.enrol(template("ann", image=[1, 0]))
    assert gallery.version == 1
    gallery.enrol(template("bob", image=[1, 0]), version=40)
    assert gallery.version == 40
    gallery.withdraw(IdentityId("nobody"))
    assert gallery.version == 40
    gallery.withdraw(IdentityId("nobody"), version=41)
    assert gallery.version == 41
    gallery.withdraw(IdentityId("bob"))
    assert gallery.version == 42


def test_a_result_names_the_state_it_was_found_in(gallery: BaseGallery) -> None:
    """Version, identities and templates of one moment."""
    gallery.enrol(template("ann", image=[1, 0]), version=7)
    result = gallery.search(features(image=[1, 0]), 3)
    assert (result.version, result.identities, result.templates) == (7, 1, 1)


def test_a_candidate_names_the_sample_nearest_to_the_probe(gallery: BaseGallery) -> None:
    """By the leading modality of what the pair has in common."""
    gallery.enrol(template("ann", "front", image=[1, 0.2], text=[1, 0]))
    gallery.enrol(template("ann", "side", image=[1, -0.2], text=[0, 1]))
    both = gallery.search(features(image=[1, -0.3], text=[1, 0]), 1).candidates[0]
    described = gallery.search(features(text=[1, 0]), 1).candidates[0]
    assert (both.template_id, described.template_id) == ("side", "front")


def test_a_refused_template_leaves_the_gallery_as_it_was(gallery: BaseGallery) -> None:
    """All features are checked before anything changes."""
    gallery.enrol(template("ann", image=[1, 0]))
    with pytest.raises(VectorError, match="has 3 dimensions, the gallery's have 2"):
        gallery.enrol(template("bob", text=[1, 0], image=[1, 0, 0]))
    assert (len(gallery), gallery.version) == (1, 1)
    assert gallery.search(features(text=[1, 0]), 1).candidates == ()


def test_the_last_vector_takes_its_dimension_along(gallery: BaseGallery) -> None:
    """What may be enrolled follows from what is, not from what once was."""
    gallery.enrol(template("ann", image=[1, 0]))
    gallery.withdraw(IdentityId("ann"))
    gallery.enrol(template("ann", image=[1, 0, 0]))
    assert gallery.search(features(image=[1, 0, 0]), 1).candidates[0].similarity[IMAGE] == 1.0


def test_a_mean_fixes_the_dimension() -> None:
    """A policy with μ knows D before anybody is enrolled."""
    rows = modality_rows(IMAGE, TEXT)
    centred = policy(rows=(replace(rows[0], mean=np.zeros(4, dtype=np.float32)), rows[1]))
    with pytest.raises(VectorError, match="has 2 dimensions, the gallery's have 4"):
        FaissGallery(centred).enrol(template("ann", image=[1, 0]))


def test_contracts_never_meet(gallery: BaseGallery) -> None:
    """Neither at enrolment nor in a search."""
    stranger = replace(feature([1, 0]), contract_id=ContractId("other"))
    with pytest.raises(ContractError, match="made by other, the gallery's are of image-v1"):
        gallery.enrol(replace(template("ann"), features={IMAGE: stranger}))
    with pytest.raises(ContractError, match="made by other"):
        gallery.search({IMAGE: stranger}, 1)


def test_a_policy_must_be_bound_before_it_is_enrolled_by() -> None:
    """A contract left open compares with anything; it is refused."""
    with pytest.raises(ContractError, match=r"bind it to the extractors with Policy\.bound_to"):
        FaissGallery(policy(contracts={})).enrol(template("ann", image=[1, 0]))


def test_what_cannot_be_searched_is_refused(gallery: BaseGallery) -> None:
    """A modality without a row, a template without a feature, a list of length 0."""
    with pytest.raises(PolicyError, match="no row for modality 'audio'"):
        gallery.search(features(audio=[1, 0]), 1)
    with pytest.raises(VectorError, match="has no feature"):
        gallery.enrol(template("ann"))
    with pytest.raises(GalleryError, match="search for 0 candidates"):
        gallery.search(features(image=[1, 0]), 0)
    assert AUDIO not in gallery.contents().policy.modalities


def test_contents_do_not_change_with_the_gallery(gallery: BaseGallery) -> None:
    """One state, taken at once and good for ever."""
    gallery.enrol(template("ann", image=[1, 0]))
    before = gallery.contents()
    gallery.enrol(template("ann", "t2", image=[0, 1]))
    gallery.enrol(template("bob", image=[1, 0]))
    assert before.identities.keys() == {"ann"}
    assert len(before.identities[IdentityId("ann")].templates) == 1


def test_withdrawn_vectors_do_not_linger_in_memory() -> None:
    """The slab's spare rows are zero: erased means erased."""
    gallery = FaissGallery(policy())
    for name in ("ann", "bob", "cid"):
        gallery.enrol(template(name, image=[1, 2]))
    gallery.withdraw(IdentityId("ann"))
    slab = gallery._slabs[IMAGE]
    assert not slab._codes[len(slab) :].any()
