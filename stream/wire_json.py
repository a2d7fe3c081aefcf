"""JSON as the service writes it, and words for what is wrong with JSON that it reads."""

import json
from collections.abc import Mapping

from pydantic import ValidationError

from stream.errors import RecordError

DECIMALS = 6
"""Of every float in a value: far under what tells two candidates apart, and free of float noise."""


def number(value: float) -> float:
    """Rounded, and never minus zero."""
    return round(float(value), DECIMALS) + 0.0


def json_bytes(value: Mapping[str, object]) -> bytes:
    """Compact JSON in UTF-8, in the order given.

    Raises:
        RecordError: A number is not finite, or a text is no Unicode.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError as error:
        raise RecordError(
            f"a record cannot be written as JSON ({error}); see what computed its fields"
        ) from error


def faults(error: ValidationError) -> str:
    """Where a JSON value is not as it should be, without quoting it."""
    places = (
        f"{'.'.join(str(part) for part in fault['loc'])[:80] or 'value'}: {fault['msg']}"
        for fault in error.errors(include_url=False, include_input=False, include_context=False)[:3]
    )
    return "; ".join(places)
