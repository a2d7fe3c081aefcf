"""`python -m stream.worker`: one worker, configured by the environment."""

import sys

from stream.worker.service import run
from stream.worker.settings import Settings

if __name__ == "__main__":
    sys.exit(run(Settings()))
