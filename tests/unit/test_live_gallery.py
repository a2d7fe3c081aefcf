"""A gallery and the thresholds of its version, while both change."""

import threading

import numpy as np

from index.calibration import thresholds_for
from index.exact import ExactGallery
from index.faiss_gallery import FaissGallery
from index.records import IMAGE, IdentityId, Template, TemplateId
from stream.events import Enrolled, Withdrawn
from stream.live_gallery import LiveGallery
from tests.factories import feature, people, policy, template

FACES = people(40, 16, spread=0.7, samples=2, seed=1)
PROBE = {IMAGE: feature(FACES[0, 1])}


def enrolled(number: int, sample: int = 0) -> Enrolled:
    return Enrolled(template=template(f"p{number:02}", f"s{sample}", image=FACES[number, sample]))


def test_a_search_comes_with_the_thresholds_of_its_version() -> None:
    """Whatever was changed, before the first probe and after: the same thresholds as of the whole gallery."""
    gallery = FaissGallery(policy())
    live = LiveGallery(gallery, policy(), target_fpir=0.05)
    changes = [
        *(enrolled(n) for n in range(30)),
        *(enrolled(n, 1) for n in range(5)),
        Withdrawn(identity_id=IdentityId("p03"), template_id=TemplateId("s0")),
        Withdrawn(identity_id=IdentityId("p04"), template_id=None),
        Withdrawn(identity_id=IdentityId("nobody"), template_id=None),
        enrolled(4),
    ]
    for version, change in enumerate(changes, start=1):
        assert live.apply([(change, version)]) == ()
        if version in (20, 33) or version > 34:
            result, thresholds = live.search(PROBE, 2)
            assert result.version == version
            assert thresholds == thresholds_for(gallery, 0.05)


def test_a_template_that_is_refused_changes_nothing() -> None:
    """Its error is returned, and those after it are applied."""
    gallery = ExactGallery(policy())
    live = LiveGallery(gallery, policy(), target_fpir=0.05)
    live.prepare()
    wrong = Enrolled(template=template("p01", "s0", image=np.ones(8)))
    (error,) = live.apply([(enrolled(0), 1), (wrong, 2), (enrolled(2), 3)])
    assert "8 dimensions" in str(error)
    assert live.search(PROBE, 2)[1] == thresholds_for(gallery, 0.05)
    assert live.state.identities == 2


def test_a_search_does_not_wait_for_the_end_of_a_burst_of_changes() -> None:
    """One that came during the first change goes before the second, though nobody pauses for it."""

    class Awaited(FaissGallery):
        def enrol(self, one: Template, *, version: int | None = None) -> None:
            super().enrol(one, version=version)
            if version == 1:
                searching.start()
                while not live._queue.locked():  # until it stands in the queue, the lock being ours
                    pass

    live = LiveGallery(Awaited(policy()), policy(), target_fpir=0.05)
    versions: list[int] = []
    searching = threading.Thread(target=lambda: versions.append(live.search(PROBE, 2)[0].version))
    live.apply((enrolled(n % 40), n) for n in range(1, 200))
    searching.join()
    assert versions == [1]
