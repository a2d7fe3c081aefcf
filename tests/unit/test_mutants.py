"""The mutants of bench/mutants.py still break what is there."""

from pathlib import Path

import pytest
from mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_has_one_place_and_tests_that_should_notice(mutant: Mutant) -> None:
    """One whose place has moved away would be killed by nothing, and prove nothing."""
    assert (ROOT / mutant.path).read_text(encoding="utf-8").count(mutant.good) == 1
    assert mutant.good != mutant.bad
    assert all(Path(ROOT / test).exists() for test in mutant.noticed_by)
