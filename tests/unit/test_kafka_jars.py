"""Jars are taken for what their hash says they are. No network: the fetcher is a table of bytes."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from stream.local.errors import BrokerUnavailableError, JarsUnavailableError
from stream.local.jars import ATTEMPTS, PART_PREFIX, Jar, JarSet, ensure_jars, pinned_jars

CONTENT = {f"org.example:jar{number}:1.{number}": bytes([number]) * (number * 100) for number in range(1, 9)}


def pin(coordinate: str, data: bytes) -> Jar:
    return Jar(coordinate=coordinate, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


JARS = JarSet(kafka="9.9.9", jars=tuple(pin(*item) for item in CONTENT.items()))


class Repository:
    """Fetches from a table, and remembers what was asked for. `faults` are served first, one an attempt."""

    def __init__(self, **faults: list[bytes | Exception]) -> None:
        self.asked: list[str] = []
        self._faults = faults

    def __call__(self, jar: Jar, folder: Path, on_bytes: Callable[[int], None]) -> Path:
        artifact = jar.coordinate.split(":")[1]
        self.asked.append(artifact)
        faults = self._faults.get(artifact)
        served = faults.pop(0) if faults else CONTENT[jar.coordinate]
        if isinstance(served, Exception):
            raise served
        path = folder / "some" / "where.jar"
        path.parent.mkdir()
        path.write_bytes(served)
        on_bytes(len(served))
        return path


def no_network(jar: Jar, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    raise AssertionError(f"{jar.coordinate} was fetched without need")


def assert_whole(paths: tuple[Path, ...]) -> None:
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert [path.name for path in paths] == [f"jar{n}-1.{n}.jar" for n in range(1, 9)]
    assert not list(paths[0].parent.glob(f"{PART_PREFIX}*"))


def test_a_second_start_does_not_touch_the_network(tmp_path: Path) -> None:
    """What was fetched once is checked and used."""
    repository = Repository()
    assert_whole(ensure_jars(tmp_path, JARS, fetch=repository))
    assert sorted(repository.asked) == sorted(f"jar{n}" for n in range(1, 9))
    assert_whole(ensure_jars(tmp_path, JARS, fetch=no_network))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x00"),
        lambda path: path.write_bytes(path.read_bytes() + b"\x00"),
    ],
    ids=["missing", "empty", "cut short", "one byte changed", "one byte more"],
)
def test_only_what_is_broken_is_fetched_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A damaged jar is mended, its neighbours are left alone."""
    damage(ensure_jars(tmp_path, JARS, fetch=Repository())[3])
    repository = Repository()
    assert_whole(ensure_jars(tmp_path, JARS, fetch=repository))
    assert repository.asked == ["jar4"]


def test_what_an_interrupted_download_left_is_cleared_away(tmp_path: Path) -> None:
    """Parts have names that are never taken for jars; the next start removes them."""
    part = tmp_path / "kafka" / JARS.kafka / f"{PART_PREFIX}abc"
    part.mkdir(parents=True)
    (part / "jar1-1.1.jar").write_bytes(b"half")
    assert_whole(ensure_jars(tmp_path, JARS, fetch=Repository()))
    assert not part.exists()


@pytest.mark.parametrize(
    "fault", [b"<html>Sign in to this network</html>", b"", OSError("reset by peer"), RuntimeError("404")]
)
def test_a_fault_that_passes_is_survived(tmp_path: Path, fault: bytes | Exception) -> None:
    """A jar may fail in all but its last attempt."""
    repository = Repository(jar2=[fault] * (ATTEMPTS - 1))
    assert_whole(ensure_jars(tmp_path, JARS, fetch=repository))
    assert repository.asked.count("jar2") == ATTEMPTS


def test_a_jar_with_another_hash_is_never_used(tmp_path: Path) -> None:
    """A repository that serves something else is refused, with both hashes and the way out."""
    evil = b"\x01" * 99 + b"\x02"
    with pytest.raises(JarsUnavailableError, match=r"org.example:jar1:1.1 .* 3 attempts") as caught:
        ensure_jars(tmp_path, JARS, fetch=Repository(jar1=[evil] * ATTEMPTS))
    for fact in (JARS.jars[0].sha256, hashlib.sha256(evil).hexdigest(), "--bootstrap host:port"):
        assert fact in str(caught.value)
    assert not (tmp_path / "kafka" / JARS.kafka / JARS.jars[0].file_name).exists()
    assert isinstance(caught.value, BrokerUnavailableError)


def test_a_download_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    """Jars that arrived before a failure are kept."""
    with pytest.raises(JarsUnavailableError):
        ensure_jars(tmp_path, JARS, fetch=Repository(jar8=[OSError("gone")] * ATTEMPTS))
    repository = Repository()
    assert_whole(ensure_jars(tmp_path, JARS, fetch=repository))
    assert repository.asked == ["jar8"]


def test_progress_counts_up_to_all_bytes(tmp_path: Path) -> None:
    """The total is known from the first call; the count never falls and ends at the total."""
    told: list[tuple[int, int]] = []
    ensure_jars(tmp_path, JARS, progress=lambda *call: told.append(call), fetch=Repository())
    assert {total for _, total in told} == {JARS.size_bytes}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == JARS.size_bytes


def test_a_cache_that_cannot_be_written_is_an_error_with_a_cure(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "kafka").write_text("")
    with pytest.raises(JarsUnavailableError, match="SIGHTLINE_CACHE_DIR"):
        ensure_jars(tmp_path, JARS, fetch=no_network)


def test_the_pinned_set_is_one_whole_kafka_four() -> None:
    """Kafka itself, a logging binding and what they need: every jar once, each with a whole sha256."""
    pinned = pinned_jars()
    artifacts = [jar.coordinate.split(":")[1] for jar in pinned.jars]
    assert pinned.kafka.startswith("4.")
    assert {"kafka_2.13", "kafka-clients", "kafka-metadata", "slf4j-api", "slf4j-simple"} <= set(artifacts)
    assert len(set(artifacts)) == len(artifacts)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in pinned.jars)
    assert 30_000_000 < pinned.size_bytes < 80_000_000
