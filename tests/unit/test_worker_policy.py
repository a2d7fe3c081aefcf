"""The policy and the targets as an operator sets them, by the environment."""

import pytest
from pydantic import ValidationError

from index.records import IMAGE, TEXT
from stream.worker.policy import policy_of, target_fpirs
from stream.worker.settings import Settings

FACE, BOTH = frozenset({IMAGE}), frozenset({IMAGE, TEXT})


def test_targets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """One number for all, and a stricter one where only a face is seen."""
    monkeypatch.setenv("SIGHTLINE_TARGET_FPIR", "0.02")
    monkeypatch.setenv("SIGHTLINE_TARGET_FPIR_BY_MASK", '{"image": 0.003}')
    found = target_fpirs(Settings(), policy_of(Settings(), {}))
    assert (found[FACE], found[BOTH]) == (0.003, 0.02)


def test_without_a_word_of_the_operator_the_policys_targets_count() -> None:
    """The shipped one says .01."""
    settings = Settings()
    assert set(target_fpirs(settings, policy_of(settings, {})).values()) == {0.01}


@pytest.mark.parametrize("value", ['{"image": 1.0}', '{"image": 0}', "0.01"])
def test_what_is_no_share_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """At the start, not at the first probe."""
    monkeypatch.setenv("SIGHTLINE_TARGET_FPIR_BY_MASK", value)
    with pytest.raises(ValidationError, match="target_fpir_by_mask"):
        Settings()
