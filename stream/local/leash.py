"""Keeps a child process from outliving its parent: `python -I -S leash.py GRACE_S SCRATCH command…`.

The parent holds the write end of this process's stdin and orders through it: `t` asks the child to end, `k`
ends it, and end-of-file - which the kernel delivers however the parent died, kill -9 included - means: ask,
wait GRACE_S seconds, end it, and remove the folder SCRATCH (unless that is empty). The child's pid is the one
line on stdout; what the child prints goes to stderr. The exit code is the child's.

Why a process and not PR_SET_PDEATHSIG alone: that signal follows the *thread* that forked, so a broker
started from a worker thread would die with that thread. This process has one thread, so here it is sound, and
it covers the last
case: the kernel ends the child when the leash itself is killed. Signals are only ever sent by the child's own
parent, so a pid that was reused is never hit. Only the standard library, and none of Sightline: it starts in
20 ms.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
ASK, END = b"t", b"k"


def die_with_leash() -> None:
    """Runs in the child before exec. On systems without prctl only the pipe holds it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wake_on(*signals: signal.Signals) -> int:
    """A descriptor that becomes readable, with the signals' numbers, when one of them arrives."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in signals:
        signal.signal(number, lambda *_: None)
    return read_end


def let_go(child: subprocess.Popen[bytes], grace_s: float) -> None:
    """Asks, waits, ends."""
    child.terminate()
    try:
        child.wait(grace_s)
    except subprocess.TimeoutExpired:
        child.kill()


def hold(child: subprocess.Popen[bytes], woken: int, grace_s: float) -> bool:
    """Carries out orders until the child has ended; returns whether the parent is still there."""
    while child.poll() is None:
        for source in select.select([sys.stdin.fileno(), woken], [], [])[0]:
            order = os.read(source, 64)
            if source == woken:
                if signal.SIGTERM in order:
                    let_go(child, grace_s)
            elif END in order:
                child.kill()
            elif ASK in order:
                child.terminate()
            else:
                let_go(child, grace_s)
                return False
    return True


def main(grace_s: float, scratch: str, command: list[str]) -> int:
    """Runs the command until it ends by itself or by order."""
    woken = wake_on(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    # PLW1509 warns of threads in the forking process; this one has none.
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=die_with_leash,  # noqa: PLW1509
    )
    os.write(sys.stdout.fileno(), b"%d\n" % child.pid)
    parent_is_there = hold(child, woken, grace_s)
    code = child.wait()
    if scratch and not parent_is_there:
        shutil.rmtree(scratch, ignore_errors=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
