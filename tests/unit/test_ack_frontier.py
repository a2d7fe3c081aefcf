"""Offsets are acknowledged in order: what is done behind a hole waits for the hole."""

from stream.worker.ack_frontier import AckFrontier


def frontier(*offsets: int, generation: int = 1) -> AckFrontier:
    made = AckFrontier(generation)
    for offset in offsets:
        assert made.opened(offset)
    return made


def test_nothing_is_acknowledged_past_a_hole() -> None:
    """The frontier stands before the first offset that is not done."""
    made = frontier(0, 1, 2, 3)
    assert made.done(2, generation=1) is None
    assert made.done(1, generation=1) is None
    assert made.done(0, generation=1) == 2
    assert made.oldest == 3
    assert made.held == 1


def test_gaps_in_the_log_do_not_hold_the_frontier_up() -> None:
    """Compaction and transactions leave offsets out; only those that were opened count."""
    made = frontier(5, 9, 100)
    assert made.done(9, generation=1) is None
    assert made.done(5, generation=1) == 9
    assert made.done(100, generation=1) == 100
    assert made.held == 0
    assert made.oldest is None


def test_an_offset_is_done_once() -> None:
    """A second report, and one of an offset that was never opened, change nothing."""
    made = frontier(0, 1)
    assert made.done(1, generation=1) is None
    assert made.done(1, generation=1) is None
    assert made.done(7, generation=1) is None
    assert made.done(0, generation=1) == 1
    assert made.done(0, generation=1) is None


def test_work_of_an_older_assignment_is_not_acknowledged() -> None:
    """After a rebalance the partition may be another worker's, and its offsets come again."""
    made = frontier(0, 1)
    made.restart(2)
    assert made.held == 0
    assert made.opened(0)
    assert made.done(0, generation=1) is None
    assert made.done(0, generation=2) == 0


def test_an_offset_that_comes_again_in_one_assignment_is_not_processed_again() -> None:
    """Redelivery within a generation is recognised, done or not."""
    made = frontier(4)
    assert not made.opened(4)
    assert not made.opened(3)
    made.done(4, generation=1)
    assert not made.opened(4)
    assert made.opened(5)
