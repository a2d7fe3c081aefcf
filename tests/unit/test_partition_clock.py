"""The watermark of a partition: the minimum, over its topics, of the largest time that each has shown."""

import pytest

from stream.clock import PartitionClock
from stream.errors import UnknownTopicError

NOW_MS = 100_000


def clock(*topics: str) -> PartitionClock:
    return PartitionClock(topics or ("images", "texts"))


def test_there_is_no_watermark_until_every_topic_has_shown_a_time() -> None:
    """Nothing is late and no deadline is reached before both halves of the input were looked at."""
    made = clock()
    assert made.watermark_ms is None
    made.observe("texts", 50, NOW_MS)
    assert made.watermark_ms is None
    made.observe("images", 20, NOW_MS)
    assert made.watermark_ms == 20


def test_texts_read_far_ahead_do_not_move_the_watermark_past_the_images() -> None:
    """The slowest topic decides: that is what keeps a backlog from making wrong halves."""
    made = clock()
    made.observe("images", 10, NOW_MS)
    for time_ms in range(10, 5_000, 10):
        made.observe("texts", time_ms, NOW_MS)
    assert made.watermark_ms == 10


def test_the_watermark_never_goes_back() -> None:
    """An event out of order moves nothing."""
    made = clock("images")
    made.observe("images", 100, NOW_MS)
    made.observe("images", 40, NOW_MS)
    made.silent_until("images", 60)
    assert made.watermark_ms == 100


def test_an_event_from_the_future_shows_no_more_than_its_append() -> None:
    """A producer whose clock runs ahead, in every topic, makes nobody else's events late."""
    made = clock()
    for topic in ("images", "texts"):
        made.observe(topic, 10 * NOW_MS, NOW_MS)
    assert made.watermark_ms == NOW_MS


def test_an_event_from_long_ago_holds_nobody_back_and_drags_nobody() -> None:
    """One from 1970 shows 1970; the next event of the topic, or its silence, makes that good."""
    made = clock()
    made.observe("texts", 0, NOW_MS)
    made.observe("images", NOW_MS, NOW_MS)
    assert made.watermark_ms == 0
    made.observe("texts", NOW_MS, NOW_MS)
    made.observe("texts", 0, NOW_MS)
    assert made.watermark_ms == NOW_MS


def test_evidence_of_silence_moves_a_topic_as_an_event_does() -> None:
    """A topic without traffic holds nobody up, once the broker was asked and had nothing."""
    made = clock()
    made.observe("images", 500, NOW_MS)
    assert made.watermark_ms is None
    made.silent_until("texts", 300)
    assert made.watermark_ms == 300
    made.silent_until("texts", 900)
    assert made.watermark_ms == 500


def test_a_topic_is_ahead_by_what_it_has_shown_beyond_the_slowest() -> None:
    """Whoever holds too much reads on what is slowest: that alone lets windows close."""
    made = clock()
    assert made.ahead(100) == set()
    made.observe("texts", 500, NOW_MS)
    assert made.ahead(100) == {"texts"}, "nothing is known of the images: they may be long behind"
    made.observe("images", 400, NOW_MS)
    assert made.ahead(100) == set()
    assert made.ahead(99) == {"texts"}
    made.observe("images", 700, NOW_MS)
    assert made.ahead(100) == {"images"}


def test_any_number_of_topics_counts() -> None:
    """A third modality is one more topic in the minimum."""
    made = clock("images", "texts", "audios")
    for topic, time_ms in (("images", 30), ("texts", 20), ("audios", 10)):
        made.observe(topic, time_ms, NOW_MS)
    assert made.watermark_ms == 10


def test_a_topic_that_is_no_input_is_refused_by_name() -> None:
    """A topic the minimum does not know would let the watermark pass it."""
    made = clock()
    with pytest.raises(UnknownTopicError, match="'audios' is no input of this clock"):
        made.observe("audios", 1, NOW_MS)
    with pytest.raises(UnknownTopicError, match="'audios' is no input of this clock"):
        made.silent_until("audios", 1)
