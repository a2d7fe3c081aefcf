"""Modalities are a list: each has an extractor, and a third one is one more entry."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.records import IMAGE, TEXT, ContractId, Feature, Modality
from stream.demo.people import Photo
from stream.features.errors import FeatureError, ModelError
from stream.features.extractor import EMBEDDING_CONTENT_TYPE, Extractor, Unusable
from stream.features.registry import FACTORIES, ExtractorConfig, build_extractors
from stream.reasons import Reason
from tests.factories import AUDIO


class LoudnessExtractor:
    """A made-up extractor of sounds: how loud each of four parts is."""

    modality: Modality = AUDIO
    contract_id = ContractId("loudness-4-00000000")
    dimension = 4
    content_types = frozenset({"audio/wav", EMBEDDING_CONTENT_TYPE})
    default_content_type = "audio/wav"

    def extract(self, content_type: str, data: bytes) -> Feature | Unusable:  # noqa: ARG002 - the port
        """See `Extractor`."""
        parts = np.array([sum(data[i::4]) for i in range(4)], dtype=np.float32)
        if not parts.any():
            return Unusable(reason=Reason.EMPTY, detail="silence")
        return Feature(vector=parts / np.linalg.norm(parts), contract_id=self.contract_id)


def test_a_third_modality_is_one_more_entry(tmp_path: Path) -> None:
    """Nothing but the entry is needed; the others are as they were."""
    found = build_extractors(
        [TEXT, AUDIO],
        ExtractorConfig(cache_dir=tmp_path),
        factories={**FACTORIES, AUDIO: lambda _: LoudnessExtractor()},
    )
    assert list(found) == [TEXT, AUDIO]
    sound = found[AUDIO].extract("audio/wav", bytes([0, 3, 4, 0]))
    assert isinstance(sound, Feature)
    np.testing.assert_allclose(sound.vector, [0, 0.6, 0.8, 0])


def test_the_configured_modalities_are_built(model_cache: Path) -> None:
    """Image and text, with the limits that were set, each under its own name."""
    config = ExtractorConfig(cache_dir=model_cache, max_text_chars=10)
    found = build_extractors([IMAGE, TEXT], config)
    extractors: list[Extractor] = list(found.values())
    assert [e.modality for e in extractors] == list(found) == [IMAGE, TEXT]
    too_long = found[TEXT].extract("text/plain", b"more than ten")
    assert isinstance(too_long, Unusable)
    assert too_long.reason is Reason.TEXT_TOO_LONG


def test_one_face_is_a_setting_and_moves_no_vector(model_cache: Path, photos: Sequence[Photo]) -> None:
    """Enrolment and search compare: the extractors of both have one contract and make one vector."""
    config = ExtractorConfig(cache_dir=model_cache)
    probe, enrolment = (build_extractors([IMAGE], c)[IMAGE] for c in (config, replace(config, one_face=True)))
    assert probe.contract_id == enrolment.contract_id
    data = photos[0].read()
    a, b = (e.extract("image/jpeg", data) for e in (probe, enrolment))
    assert isinstance(a, Feature)
    assert isinstance(b, Feature)
    np.testing.assert_array_equal(a.vector, b.vector)


def test_a_modality_without_an_extractor_is_named(tmp_path: Path) -> None:
    """A setting that nobody can serve is found at the start."""
    with pytest.raises(FeatureError, match=r"no extractor for audio; there are image, text"):
        build_extractors([AUDIO], ExtractorConfig(cache_dir=tmp_path))


def test_missing_model_files_name_the_command_that_fetches_them(tmp_path: Path) -> None:
    """Without the pack nothing starts, and the message is the cure."""
    with pytest.raises(ModelError, match=r"fr_detect.onnx is missing .*`sightline models pull faceplugin`"):
        build_extractors([IMAGE], ExtractorConfig(cache_dir=tmp_path))
