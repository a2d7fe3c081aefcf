"""The frontier against a model that looks at every offset each time."""

from hypothesis import given
from hypothesis import strategies as st

from stream.worker.ack_frontier import AckFrontier


@given(st.sets(st.integers(0, 60)), st.lists(st.integers(0, 60)))
def test_the_frontier_is_the_longest_prefix_that_is_done(offsets: set[int], finished: list[int]) -> None:
    """After every report, what is acknowledged is everything before the first offset that is not done."""
    frontier = AckFrontier(1)
    ordered = sorted(offsets)
    for offset in ordered:
        assert frontier.opened(offset)
    done: set[int] = set()
    acknowledged: int | None = None
    for offset in finished:
        reached = frontier.done(offset, generation=1)
        done |= {offset} & offsets
        waiting = [o for o in ordered if o not in done]
        prefix = [o for o in ordered if not waiting or o < waiting[0]]
        expected = prefix[-1] if prefix else None
        assert reached == (expected if expected != acknowledged else None)
        acknowledged = expected
        assert frontier.oldest == (waiting[0] if waiting else None)
        assert frontier.held == len(ordered) - len(prefix)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), max_size=40))
def test_no_offset_is_acknowledged_before_it_was_opened_and_done(steps: list[tuple[bool, int]]) -> None:
    """Opening and finishing in any interleaving, with offsets that come again."""
    frontier = AckFrontier(1)
    opened: list[int] = []
    done: set[int] = set()
    for opening, offset in steps:
        if opening:
            fresh = not opened or offset > opened[-1]
            assert frontier.opened(offset) == fresh
            opened += [offset] * fresh
        else:
            done |= {offset} & set(opened)
            reached = frontier.done(offset, generation=1)
            assert reached is None or {o for o in opened if o <= reached} <= done
