"""`python -m stream.worker`: one worker, configured by the environment."""

import sys

from pydantic import ValidationError

from stream.worker.service import run
from stream.worker.settings import Settings, faults

USAGE = 2


def main() -> int:
    """The exit code of one worker's life."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.stderr.write(f"worker: {faults(error)}\n")
        return USAGE
    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
