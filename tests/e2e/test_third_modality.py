"""Modalities are a list: a third one enters by a topic, an extractor and rows of policy."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from index.policy import Affine, ModalityRow
from index.records import IMAGE, TEXT, Outcome
from stream.demo.people import People
from stream.enrolment_record import encode_request
from stream.events import ClosedBy, EnrolmentRequest, RawSample
from stream.features.extractor import EMBEDDING_CONTENT_TYPE
from stream.policy_file import format_policy, shipped_policy
from stream.reasons import Reason
from stream.worker.admin import init_topics
from stream.worker.settings import Settings
from tests.e2e.audio_worker import AUDIO, CONTRACT
from tests.e2e.harness import Witness, WorkerProcess, publish
from tests.e2e.scene import appearances as appear
from tests.e2e.scene import event, metric, outbound, payload
from tests.e2e.test_main_job import now_ms
from tests.factories import mask_rows

pytestmark = pytest.mark.kafka

VOICES = {"ann": [1.0, 0.2, 0.0, 0.1], "ben": [0.0, 0.1, 1.0, 0.3]}


def voice(vector: list[float]) -> bytes:
    """A voice as its producer sends it."""
    return json.dumps({"contract_id": CONTRACT, "vector": vector}).encode()


@pytest.fixture
def heard(settings: Settings) -> Settings:
    """Settings of an installation that also listens."""
    with_voice = settings.model_copy(update={"modalities": (IMAGE, TEXT, AUDIO)})
    asyncio.run(init_topics(with_voice))
    return with_voice


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    """The shipped policy with a row for voices and for every mask that has them."""
    shipped = shipped_policy("faceplugin")
    row = ModalityRow(modality=AUDIO, llr=Affine(scale=12.0, bias=-3.0), weight=0.02, clip=2.0)
    policy = replace(
        shipped,
        policy_id="with-voices",
        rows=(*shipped.rows, row),
        masks={**mask_rows(IMAGE, TEXT, AUDIO), **shipped.masks},
        contracts={**shipped.contracts, AUDIO: CONTRACT},
    )
    file = tmp_path / "policy.json"
    file.write_text(format_policy(policy, fitted_on="nothing; a test"))
    return file


def test_a_third_modality_is_joined_searched_and_reported(
    heard: Settings, policy_file: Path, model_files: None, people: People, tmp_path: Path
) -> None:
    """A subject seen, described and heard is complete; one only heard is ranked by its voice."""
    [subject] = appear(people, 1)
    program = ("-m", "tests.e2e.audio_worker")
    with WorkerProcess(heard, tmp_path / "worker.log", program=program, policy=str(policy_file)) as worker:
        worker.wait_ready()
        requests = [
            encode_request(
                EnrolmentRequest(
                    request_id=name,
                    identity_id=name,
                    template_id=None,
                    action="enrol",
                    samples={AUDIO: RawSample(content_type=EMBEDDING_CONTENT_TYPE, data=voice(vector))},
                )
            )
            for name, vector in VOICES.items()
        ]
        publish(heard, [outbound(heard.topics.enrolments, request) for request in requests])
        worker.wait_for(lambda: metric(worker, "sightline_gallery_identities") == 2, "following", 20)
        said = voice([0.1, 0.1, 0.9, 0.3])
        records = [
            event(heard, "all", IMAGE, payload(subject, IMAGE), now_ms()),
            event(heard, "all", TEXT, payload(subject, TEXT), now_ms()),
            event(heard, "all", AUDIO, said, now_ms(), content_type=EMBEDDING_CONTENT_TYPE),
            event(heard, "heard", AUDIO, said, now_ms(), content_type=EMBEDDING_CONTENT_TYPE),
        ]
        published = set(publish(heard, records))
        with Witness(heard) as witness:
            witness.until(lambda w: w.covered() >= published, 60, worker)
    whole, only_heard = witness.by_subject["all"], witness.by_subject["heard"]
    assert whole.window.closed_by is ClosedBy.COMPLETE
    assert whole.modalities.used == (AUDIO, IMAGE, TEXT)
    assert only_heard.window.closed_by is ClosedBy.DEADLINE
    assert {(m.modality, m.reason) for m in only_heard.modalities.missing} == {
        (IMAGE, Reason.NOT_RECEIVED),
        (TEXT, Reason.NOT_RECEIVED),
    }
    assert only_heard.candidates[0].identity_id == "ben"
    assert only_heard.candidates[0].similarity.keys() == {AUDIO}
    assert only_heard.outcome is not Outcome.MATCH, "its mask may not decide by this policy"
