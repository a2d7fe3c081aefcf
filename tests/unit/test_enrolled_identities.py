"""Who is enrolled, as an operator reads it from the gallery topic."""

from index.records import IdentityId, TemplateId
from stream.cli.identities import fold_gallery
from stream.envelope import Outgoing
from stream.events import RawRecord, Source
from stream.gallery_record import encode_template, tombstone
from tests.factories import template


def topic(*records: Outgoing) -> list[RawRecord]:
    """The gallery topic with these records in it."""
    return [
        RawRecord(
            source=Source(topic="gallery", partition=0, offset=offset),
            key=record.key,
            value=record.value,
            headers=record.headers,
            timestamp_ms=0,
        )
        for offset, record in enumerate(records)
    ]


ANN_1, ANN_2 = template("ann", "1", image=[1, 0]), template("ann", "2", image=[0, 1])
BOB = template("bob", "1", image=[1, 1])


def erased(identity: str, sample: str) -> Outgoing:
    """The record that erases one template."""
    return tombstone(IdentityId(identity), TemplateId(sample))


def test_the_last_record_of_a_template_counts() -> None:
    """A template enrolled again is one template; one that was erased is none."""
    records = [*map(encode_template, (ANN_1, ANN_2, BOB, ANN_1)), erased("ann", "2")]
    found = fold_gallery(topic(*records))
    assert {i: set(templates) for i, templates in found.items()} == {"ann": {"1"}, "bob": {"1"}}


def test_an_identity_without_templates_is_not_enrolled() -> None:
    """Tombstones leave no trace of who was there, nor of who never was."""
    found = fold_gallery(topic(encode_template(BOB), erased("bob", "1"), erased("cy", "1")))
    assert found == {}


def test_what_cannot_be_read_is_left_to_the_worker() -> None:
    """A damaged record hides nobody else."""
    damaged = Outgoing(key=b"ann/1", value=b"{")
    assert set(fold_gallery(topic(damaged, encode_template(BOB)))) == {"bob"}
