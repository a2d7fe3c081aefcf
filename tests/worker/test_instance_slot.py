"""Two workers of one machine never share a name, and a restarted one gets its own back."""

import subprocess
import sys
from pathlib import Path

from stream.worker.instance import InstanceSlot


def test_each_worker_takes_the_lowest_free_slot(tmp_path: Path) -> None:
    """Slots 0 and 1 are taken in turn; the freed 0 is taken again."""
    first, second = InstanceSlot("app", tmp_path), InstanceSlot("app", tmp_path)
    assert first.name.endswith("-0")
    assert second.name.endswith("-1")
    first.close()
    third = InstanceSlot("app", tmp_path)
    assert third.name == first.name
    second.close()
    third.close()


def test_applications_do_not_take_each_others_slots(tmp_path: Path) -> None:
    """Another group has names of its own."""
    one, other = InstanceSlot("app", tmp_path), InstanceSlot("other", tmp_path)
    assert one.name.endswith("-0")
    assert other.name.endswith("-0")
    assert one.name != other.name
    one.close()
    other.close()


def test_a_killed_worker_frees_its_slot(tmp_path: Path) -> None:
    """The kernel drops the lock of a process that had no chance to."""
    hold = (
        "import os, signal, sys, pathlib; from stream.worker.instance import InstanceSlot;"
        "slot = InstanceSlot('app', pathlib.Path(sys.argv[1])); print(slot.name, flush=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", hold, str(tmp_path)], capture_output=True, text=True, check=False
    )
    again = InstanceSlot("app", tmp_path)
    assert again.name == killed.stdout.strip()
    again.close()
