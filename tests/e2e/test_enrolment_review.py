"""What the gallery's one door says of each kind of request, on a real broker and worker, by policy."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from index.records import IMAGE, Feature
from stream.cli.enrolling import answers_to
from stream.demo.people import People, Photo
from stream.events import EnrolmentRequest, EnrolmentResult, RawSample
from stream.features.cv import cv2
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.features.guards import UNDECLARED
from stream.features.registry import ExtractorConfig, build_extractors
from stream.policy_file import shipped_policy
from stream.worker.settings import Settings
from tests.e2e.conftest import WorkerFactory
from tests.e2e.scene import enrol
from tests.image_factories import encoded

pytestmark = pytest.mark.kafka

LENIENT = {
    "a good second photo": ("accepted", ()),
    "two faces": ("rejected", ("several_faces",)),
    "no face": ("rejected", ("no_face",)),
    "a weak vector": ("rejected", ("low_quality",)),
    "one person under a second name": ("accepted", ("possible_duplicate",)),
    "somebody else's photo": ("accepted", ("possible_duplicate", "outlier_sample")),
    "another model's vector": ("rejected", ("wrong_contract",)),
}
STRICT = {
    **LENIENT,
    "one person under a second name": ("rejected", ("possible_duplicate",)),
    "somebody else's photo": ("rejected", ("possible_duplicate", "outlier_sample")),
}


def pixels(photo: Photo) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(photo.read(), np.uint8), cv2.IMREAD_COLOR)


def weak(photo: Photo) -> bytes:
    """The photo's embedding, of half the quality that is evidence; no blur surely leaves a face so weak."""
    extractor = build_extractors([IMAGE], ExtractorConfig(cache_dir=Settings().cache_dir))[IMAGE]
    feature = extractor.extract(UNDECLARED, photo.read())
    floor = shipped_policy(Settings().pack).row(IMAGE).quality_floor
    assert isinstance(feature, Feature)
    assert floor is not None
    vector = {"contract_id": extractor.contract_id, "vector": feature.vector.tolist(), "quality": floor / 2}
    return json.dumps(vector).encode()


def requests(people: People) -> Mapping[str, Mapping[str, RawSample]]:
    """What is asked for under whose name, by case."""
    ann, bob = people.enrolled[:2]
    side_by_side = cv2.hconcat([cv2.resize(pixels(p.enrolled[0]), (250, 250)) for p in (ann, bob)])
    noise = np.random.default_rng(7).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    strange = json.dumps({"contract_id": "another-512-00000000", "vector": [1.0] * 512}).encode()
    photos = {
        "a good second photo": ann.probes[0].read(),
        "two faces": encoded(".jpg", side_by_side),
        "no face": encoded(".jpg", noise),
        "somebody else's photo": bob.probes[1].read(),
    }
    return {
        ann.identity_id: {
            **{case: RawSample(content_type=UNDECLARED, data=data) for case, data in photos.items()},
            "a weak vector": RawSample(content_type=EMBEDDING_CONTENT_TYPE, data=weak(ann.enrolled[0])),
            "another model's vector": RawSample(content_type=EMBEDDING_CONTENT_TYPE, data=strange),
        },
        "somebody new": {
            "one person under a second name": RawSample(content_type=UNDECLARED, data=bob.probes[0].read())
        },
    }


def answers(
    settings: Settings, mode: str, identity_id: str, cases: Mapping[str, RawSample]
) -> dict[str, EnrolmentResult]:
    """The answers to one identity's cases, in turn; each is withdrawn again, so that all meet one gallery."""
    asked = [
        EnrolmentRequest(
            request_id=f"{mode}/{case}/{action}",
            identity_id=identity_id,
            template_id=case,
            action=action,
            samples={IMAGE: sample} if action == "enrol" else {},
        )
        for case, sample in cases.items()
        for action in ("enrol", "withdraw")
    ]
    results = {result.request_id: result for result in asyncio.run(answers_to(settings, asked))}
    return {case: results[f"{mode}/{case}/enrol"] for case in cases}


def test_each_request_is_accepted_warned_of_or_rejected_by_the_policy_in_force(
    settings: Settings, start_worker: WorkerFactory, people: People, tmp_path: Path
) -> None:
    """Every case under both policies, with its code; a duplicate names whom it is like, and how much."""
    cases, bob = requests(people), people.enrolled[1]
    for mode, expected in (("lenient", LENIENT), ("strict", STRICT)):
        worker = start_worker(mode, review=mode)
        worker.wait_ready()
        if mode == "lenient":
            enrol(settings, worker, people.enrolled)
        results: dict[str, EnrolmentResult] = {}
        for identity_id, samples in cases.items():
            results |= answers(settings, mode, identity_id, samples)
        found = {
            case: ("accepted" if r.accepted else "rejected", (*r.reasons, *r.warnings))
            for case, r in results.items()
        }
        assert found == expected
        assert all(bool(r.reasons) != r.accepted for r in results.values())
        double = results["one person under a second name"]
        assert double.resembles is not None
        assert double.resembles.identity_id == bob.identity_id
        assert double.resembles.score >= double.resembles.threshold
        assert f"with {bob.identity_id}" in double.detail
        assert worker.terminate() == 0
