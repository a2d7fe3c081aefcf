"""What an operator asks at three in the morning, on a real broker: lag, and the dead letters."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from index.records import TEXT
from stream.dead_letter_record import DeadLetter
from stream.reasons import Reason
from stream.worker.settings import Settings
from tests.e2e.commands import Sightline, document
from tests.e2e.harness import Outbound, Witness, WorkerProcess, publish
from tests.e2e.scene import event

pytestmark = pytest.mark.kafka

WAIT_S = 60.0


def test_lag_is_what_waits_and_nothing_once_it_is_answered(
    settings: Settings, sightline: Sightline, start_worker: Callable[..., WorkerProcess]
) -> None:
    """Before any worker everything waits, with its age; afterwards nothing does."""
    now_ms = int(time.time() * 1000)
    texts = [event(settings, f"s{n}", TEXT, b"a person", now_ms) for n in range(7)]
    publish(settings, texts)
    waiting = document(sightline("lag", "--json"))
    assert (waiting["group"], waiting["lag"]) == (settings.app_id, 7)
    assert waiting["waits_s"] >= 0
    assert sum(one["lag"] for one in waiting["partitions"] if "texts" in one["topic"]) == 7
    assert all(one["committed"] is None for one in waiting["partitions"])
    assert "7 records wait" in sightline("lag").stdout
    worker = start_worker()
    worker.wait_ready()
    worker.wait_for(lambda: document(sightline("lag", "--json"))["lag"] == 0, "through", WAIT_S)
    answered = document(sightline("lag", "--json"))
    assert answered["waits_s"] is None
    assert any(one["committed"] for one in answered["partitions"])


def test_dead_letters_are_listed_shown_and_replayed(
    settings: Settings, sightline: Sightline, worker: WorkerProcess, tmp_path: Path
) -> None:
    """By reason and by place; a replay goes through the service again, and the letters stay."""
    now_ms = int(time.time() * 1000)
    good = event(settings, "s", TEXT, b"a person", now_ms)
    no_text = event(settings, "t", TEXT, b"   ", now_ms)
    no_key = Outbound(topic=good.topic, key=None, value=good.value, headers=good.headers, partition=1)
    publish(settings, [no_text, no_key])
    with Witness(settings) as witness:
        witness.until(lambda w: len(w.dead_letters) == 2, WAIT_S, worker)

    listed = document(sightline("dlq", "list", "--json"))
    assert listed["counts"] == {Reason.EMPTY_TEXT: 1, Reason.MISSING_KEY: 1}
    [keyless] = document(sightline("dlq", "list", "--reason", "missing_key", "--json"))["letters"]
    assert keyless["key"] is None
    assert keyless["source"].startswith(f"{settings.topics.inputs[TEXT]}/1/")
    assert "empty_text 1" in sightline("dlq", "list").stdout

    payload = tmp_path / "payload"
    shown = document(sightline("dlq", "show", keyless["place"], "--save", str(payload), "--json"))
    assert payload.read_bytes() == good.value
    assert shown["headers"]["ce_source"] == "/tests/camera"
    assert keyless["place"] in sightline("dlq", "show", keyless["place"]).stdout

    by_place = document(sightline("dlq", "replay", keyless["place"], "--json"))
    assert by_place == {"replayed": 1, "by_topic": {settings.topics.inputs[TEXT]: 1}}
    with Witness(settings) as witness:
        witness.until(lambda w: keyless_letters(w) == 2, WAIT_S, worker)
    by_reason = document(sightline("dlq", "replay", "--reason", "missing_key", "--now", "--json"))
    assert by_reason["replayed"] == 2
    with Witness(settings) as witness:
        witness.until(lambda w: keyless_letters(w) == 4, WAIT_S, worker)
        keyless_times = [time_of(letter) for letter in witness.dead_letters if letter.key is None]
    original = dict(good.headers)["ce_time"]
    assert sum(at == original for at in keyless_times) == 2
    assert sum(at > original for at in keyless_times) == 2


def keyless_letters(witness: Witness) -> int:
    """Letters about a record without a key."""
    return sum(letter.reason is Reason.MISSING_KEY for letter in witness.dead_letters)


def time_of(letter: DeadLetter) -> bytes:
    """When the original happened, as it says; texts of one length compare as times do."""
    return dict(letter.headers)["ce_time"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["replay"], 2, "Name places, or a --reason"),
        (["replay", "0/0", "--reason", "late"], 2, "Name places, or a --reason"),
        (["show", "0/7"], 1, "no dead letter at 0/7"),
        (["show", "99/0"], 1, "no dead letter at 99/0"),
        (["show", "here"], 1, "no PARTITION/OFFSET"),
    ],
)
def test_what_is_not_there_is_said(sightline: Sightline, arguments: list[str], code: int, says: str) -> None:
    """By what was asked for, with the next step."""
    result = sightline("dlq", *arguments)
    assert result.exit_code == code
    assert says in result.stderr


def test_a_dead_letter_of_another_installation_is_not_replayed(
    settings: Settings, sightline: Sightline
) -> None:
    """Its topic may be anybody's."""
    facts = {
        "reason": "late",
        "stage": "join",
        "topic": "somebody-elses",
        "partition": "0",
        "offset": "0",
        "timestamp": "0",
        "error": "",
    }
    headers = tuple((f"sightline_dlq_{name}", text.encode()) for name, text in facts.items())
    publish(settings, [Outbound(topic=settings.topics.dead_letters, key=b"k", value=b"v", headers=headers)])
    result = sightline("dlq", "replay", "--reason", "late")
    assert result.exit_code == 1
    assert "somebody-elses" in result.stderr
