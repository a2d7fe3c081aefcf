"""Commands as an operator runs them, and what they print."""

import json
from collections.abc import Callable
from typing import Any

from typer.testing import Result

Sightline = Callable[..., Result]
"""The fixture of that name: `sightline("lag", "--json")`, against the test's own topics."""


def document(result: Result) -> Any:
    """The JSON that a command printed."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
