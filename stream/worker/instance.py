"""The name under which a worker is a static member of its group: stable over restarts, unique on its machine.

A static member that comes back within its session gets its partitions at once instead of after a rebalance.
Two members of one name would be worse than none: one of them stays idle for ever, without an error. So each
worker on a machine takes the lowest free slot, held by a file lock that the kernel drops when the process
ends, however.
"""

import fcntl
import socket
from pathlib import Path
from typing import IO

from stream.worker.errors import WorkerError

MOST_WORKERS = 256


class InstanceSlot:
    """The lowest free slot of one application on this machine, held until closed or the process ends."""

    def __init__(self, app_id: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, number = _lock_lowest(folder, app_id)
        self.name = f"{app_id}-{socket.gethostname()}-{number}"

    def close(self) -> None:
        """Frees the slot."""
        self._file.close()


def _lock_lowest(folder: Path, app_id: str) -> tuple[IO[bytes], int]:
    for number in range(MOST_WORKERS):
        file = (folder / f"{app_id}-{number}.lock").open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
        else:
            return file, number
    raise WorkerError(
        f"{MOST_WORKERS} workers of {app_id} run on this machine already; "
        "give this one a SIGHTLINE_INSTANCE_ID"
    )
