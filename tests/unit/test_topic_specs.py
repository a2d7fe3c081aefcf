"""What topics have to be, and how a difference is found and said."""

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import Modality
from stream.worker.admin import ActualTopic, mismatches
from stream.worker.errors import TopicMismatchError
from stream.worker.settings import Settings
from stream.worker.topics import ERASURE_MS, Cleanup, TopicNames, TopicSpec

NAMES = TopicNames.of(prefix="p", modalities=(Modality("image"), Modality("text"), Modality("voice")))
SPECS = NAMES.specs(partitions=3)


def as_wanted(spec: TopicSpec) -> ActualTopic:
    """The topic that a spec asks for."""
    return ActualTopic(
        name=spec.name,
        partitions=spec.partitions,
        leaders=spec.partitions,
        cleanup=spec.cleanup.value,
        timestamp_type=spec.timestamp_type,
        max_record_bytes=spec.max_record_bytes,
    )


ALL_WELL = {spec.name: as_wanted(spec) for spec in SPECS}


def test_topics_that_are_as_they_have_to_be_are_not_complained_of() -> None:
    """No false alarm, a third modality included."""
    assert mismatches(SPECS, ALL_WELL) == ()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"partitions": 7}, "partition count"),
        ({"cleanup": "compact,delete"}, "cleanup.policy"),
        ({"timestamp_type": "other"}, "message.timestamp.type"),
        ({"max_record_bytes": 1_000}, "max.message.bytes"),
    ],
)
def test_one_difference_is_one_mismatch(spec: TopicSpec, change: dict[str, object], setting: str) -> None:
    """It names the topic, the setting, what was found and what to do, and nothing else is reported."""
    actual = ALL_WELL | {spec.name: replace(ALL_WELL[spec.name], **change)}  # type: ignore[arg-type]  # a table
    (found,) = mismatches(SPECS, actual)
    assert (found.topic, found.setting, found.found) == (spec.name, setting, str(*change.values()))
    assert found.next_step


def test_a_topic_that_takes_larger_records_is_welcome() -> None:
    """An operator may allow more."""
    roomy = {name: replace(topic, max_record_bytes=1 << 30) for name, topic in ALL_WELL.items()}
    assert mismatches(SPECS, roomy) == ()


def test_the_error_lists_every_mismatch_and_each_next_step_once() -> None:
    """Seven missing topics are seven lines and one thing to do."""
    error = TopicMismatchError(mismatches(SPECS, {}))
    assert [line for line in str(error).splitlines() if line.startswith("- p.")] == [
        f"- {spec.name}: topic is missing, wanted present" for spec in SPECS
    ]
    assert str(error).count("sightline init") == 1


def test_what_carries_a_subject_is_co_partitioned() -> None:
    """Inputs, decisions and dead letters meet by partition number; the gallery is one log with one order."""
    by_name = {spec.name: spec for spec in SPECS}
    together = (*NAMES.inputs.values(), NAMES.matches, NAMES.dead_letters)
    assert {by_name[name].partitions for name in together} == {3}
    assert by_name[NAMES.gallery].partitions == 1


def test_only_the_gallery_is_compacted_and_it_is_so_in_bounded_time() -> None:
    """A tombstone takes effect on the log within the bound; streams are deleted by age."""
    compacted = [spec for spec in SPECS if spec.cleanup is Cleanup.COMPACT]
    assert [spec.name for spec in compacted] == [NAMES.gallery]
    configs = compacted[0].configs()
    assert int(configs["max.compaction.lag.ms"]) <= ERASURE_MS
    assert int(configs["segment.ms"]) <= ERASURE_MS
    assert "retention.ms" not in configs
    assert all("retention.ms" in spec.configs() for spec in SPECS if spec not in compacted)


@given(payload_bytes=st.integers(min_value=1024, max_value=64 << 20))
def test_the_largest_payload_fits_through_every_door(payload_bytes: int) -> None:
    """As it is, as base64 in an enrolment with its longest text, and as a dead letter of either."""
    specs = {spec.name: spec for spec in NAMES.specs(partitions=1, max_payload_bytes=payload_bytes)}
    longest_text = json.dumps("\U0001f600" * Settings().max_text_chars)
    enrolment = len(base64.b64encode(b"")) + 4 * ((payload_bytes + 2) // 3) + len(longest_text) + 8 * 1024
    assert specs[NAMES.enrolments].max_record_bytes >= enrolment
    assert all(specs[topic].max_record_bytes > payload_bytes for topic in NAMES.inputs.values())
    headers = 64 * 1024
    for door in (NAMES.enrolments, *NAMES.inputs.values()):
        assert specs[NAMES.dead_letters].max_record_bytes >= specs[door].max_record_bytes + headers
