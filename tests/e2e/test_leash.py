"""The leash: a child ends with its parent, however the parent ends. With `sleep`, as a JVM is slower."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.local import leash
from tests.kafka_fixture import ends_within

PATIENCE_S = 10.0
SLEEPER = ["sleep", "600"]
DEAF = [
    sys.executable,
    "-c",
    "import signal; signal.signal(15, signal.SIG_IGN); print(1, flush=True); signal.pause()",
]

Leashed = tuple[subprocess.Popen[bytes], int]


def leashed(command: list[str], *, grace_s: float = 5.0, scratch: Path | None = None) -> Leashed:
    """A leash with a child, and the child's pid."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", leash.__file__, str(grace_s), str(scratch or ""), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def closed(process: subprocess.Popen[bytes]) -> int:
    """The leash's exit code, its pipes closed."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return process.wait(PATIENCE_S)


@pytest.fixture
def sleeper() -> Iterator[Leashed]:
    process, child = leashed(SLEEPER)
    yield process, child
    closed(process)
    assert ends_within(child, PATIENCE_S)


@pytest.mark.parametrize(
    ("order", "signal_number"), [(leash.ASK, signal.SIGTERM), (leash.END, signal.SIGKILL)], ids=["ask", "end"]
)
def test_an_order_ends_the_child(sleeper: Leashed, order: bytes, signal_number: int) -> None:
    """The two orders are the two signals; the exit code says, as a shell does, which one it was."""
    process, child = sleeper
    assert process.stdin is not None
    process.stdin.write(order)
    assert process.wait(PATIENCE_S) == 128 + signal_number
    assert ends_within(child, 0)


def test_the_child_ends_when_the_pipe_is_let_go(sleeper: Leashed) -> None:
    """End-of-file is what the kernel delivers when the parent is gone."""
    process, child = sleeper
    assert process.stdin is not None
    process.stdin.close()
    assert ends_within(child, PATIENCE_S)


def test_the_child_ends_when_the_leash_is_killed(sleeper: Leashed) -> None:
    """Even kill -9 of the leash itself leaves no orphan."""
    process, child = sleeper
    process.kill()
    assert ends_within(child, PATIENCE_S)


def test_the_child_ends_when_the_leash_is_asked_to_end(sleeper: Leashed) -> None:
    """SIGTERM to the leash is passed on."""
    process, child = sleeper
    process.terminate()
    assert ends_within(child, PATIENCE_S)


def test_a_child_that_will_not_listen_is_ended_after_the_grace() -> None:
    """A child that ignores SIGTERM gets the grace, and then SIGKILL."""
    process, child = leashed(DEAF, grace_s=0.1)
    assert process.stdin is not None
    assert process.stderr is not None
    assert process.stderr.readline() == b"1\n"  # it is deaf from here on
    process.stdin.close()
    assert ends_within(child, PATIENCE_S)
    assert closed(process) == 128 + signal.SIGKILL


def test_a_child_that_ends_by_itself_takes_the_leash_along() -> None:
    """The exit code and what was printed are the child's."""
    process, _ = leashed([sys.executable, "-c", "import sys; print('last words'); sys.exit(7)"])
    assert process.stderr is not None
    assert process.stderr.read() == b"last words\n"
    assert closed(process) == 7


def test_the_scratch_folder_goes_only_when_the_parent_is_gone(tmp_path: Path) -> None:
    """A parent that orders may want the data again; one that died cannot remove it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process, _ = leashed(SLEEPER, scratch=scratch)
    assert process.stdin is not None
    process.stdin.write(leash.ASK)
    process.wait(PATIENCE_S)
    closed(process)
    assert scratch.exists()

    process, _ = leashed(SLEEPER, scratch=scratch)
    closed(process)
    assert not scratch.exists()


def test_a_child_dies_with_a_parent_that_was_killed() -> None:
    """Of the process that holds the leash only the kernel can tell the end after kill -9; it does."""
    script = (
        "import subprocess, sys\n"
        f"p = subprocess.Popen([sys.executable, '-I', '-S', {leash.__file__!r}, '5', '', 'sleep', '600'],\n"
        "    stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "print(p.stdout.readline().decode().strip(), flush=True)\n"
        "p.wait()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(parent.pid, signal.SIGKILL)
    assert ends_within(child, PATIENCE_S)
