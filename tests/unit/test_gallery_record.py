"""The gallery record: templates come back exactly, and a key names one template only."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import IMAGE, TEXT, ContractId, Feature, IdentityId, Template, TemplateId
from index.vectors import unit
from stream.envelope import MAX_ID_BYTES, id_fault
from stream.errors import RecordError
from stream.events import Enrolled, Rejected, Source, Withdrawn
from stream.gallery_record import decode_template, encode_template, template_key, tombstone
from stream.reasons import Reason, Stage

SOURCE = Source(topic="gallery", partition=0, offset=9)
IDS = st.text(min_size=1, max_size=40).filter(lambda text: id_fault(text) is None)


def feature(*numbers: float, contract: str = "image-v1", quality: float | None = None) -> Feature:
    return Feature(vector=unit(numbers), contract_id=ContractId(contract), quality=quality)


def template(identity: str = "ann", name: str = "t1") -> Template:
    return Template(
        identity_id=IdentityId(identity),
        template_id=TemplateId(name),
        features={TEXT: feature(1, 2, contract="text-v1"), IMAGE: feature(0.1, -0.2, 0.3, quality=11.0 / 3)},
        enrolled_at_ms=1_700_000_000_000,
        metadata={"b": "2", "a": "größer"},
    )


def read(made: Template) -> Enrolled:
    sent = encode_template(made)
    change = decode_template(sent.key, sent.value, SOURCE)
    assert isinstance(change, Enrolled)
    return change


def changed(**fields: object) -> bytes:
    """The value of a good record with some fields replaced."""
    sent = encode_template(template())
    assert sent.value is not None
    return json.dumps(json.loads(sent.value) | fields).encode()


@pytest.mark.parametrize("identity", ["ann", "größer", "a/b", "100%", "%2F", "a%252Fb"])
def test_a_template_comes_back_exactly(identity: str) -> None:
    """Vectors to the bit, quality to the last digit."""
    made = template(identity, name=identity)
    back = read(made).template
    for modality, expected in made.features.items():
        found = back.features[modality]
        assert found.vector.dtype == np.float32
        np.testing.assert_array_equal(found.vector, expected.vector)
        assert (found.contract_id, found.quality) == (expected.contract_id, expected.quality)
    assert (back.identity_id, back.template_id) == (made.identity_id, made.template_id)
    assert (back.enrolled_at_ms, back.metadata) == (made.enrolled_at_ms, made.metadata)


def test_equal_templates_have_equal_bytes() -> None:
    """A replay of an enrolment writes the same record."""
    made = template()
    turned = Template(
        identity_id=made.identity_id,
        template_id=made.template_id,
        features=dict(reversed(list(made.features.items()))),
        enrolled_at_ms=made.enrolled_at_ms,
        metadata=dict(reversed(list(made.metadata.items()))),
    )
    assert encode_template(made) == encode_template(turned)


def test_a_tombstone_withdraws_the_template_of_its_key() -> None:
    """Null under the same key, so that compaction erases the template."""
    sent = tombstone(IdentityId("a/b"), TemplateId("t"))
    assert sent.value is None
    assert sent.key == encode_template(template("a/b", "t")).key
    assert decode_template(sent.key, None, SOURCE) == Withdrawn(
        identity_id=IdentityId("a/b"), template_id=TemplateId("t")
    )


@given(IDS, IDS, IDS, IDS)
def test_no_two_templates_share_a_key(a: str, b: str, c: str, d: str) -> None:
    """Ids are opaque: they may hold the separator and the escape, and still be told apart."""
    one = template_key(IdentityId(a), TemplateId(b))
    two = template_key(IdentityId(c), TemplateId(d))
    assert (one == two) == ((a, b) == (c, d))
    assert decode_template(one, None, SOURCE) == Withdrawn(
        identity_id=IdentityId(a), template_id=TemplateId(b)
    )


@pytest.mark.parametrize(
    "key",
    [
        None,
        b"",
        b"ann",
        b"ann/",
        b"/t1",
        b"a/b/c",
        b"\xff/t",
        b"a\n/t",
        b"a%2f/t",
        b"a%/t",
        b"x" * 300 + b"/t",
    ],
)
def test_a_key_that_this_service_does_not_write_is_refused(key: bytes | None) -> None:
    """Exactly one key stands for a template, or compaction would keep two."""
    fault = decode_template(key, None, SOURCE)
    assert fault == Rejected(
        source=SOURCE,
        reason=Reason.BAD_KEY,
        stage=Stage.ENROLMENT,
        detail="the key is not identity_id/template_id",
    )
    assert MAX_ID_BYTES < 300


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", Reason.BAD_JSON),
        (b"{}", Reason.BAD_JSON),
        (b"[" * 10_000, Reason.BAD_JSON),
        (changed(schema_version=2), Reason.BAD_JSON),
        (changed(identity_id="bob"), Reason.BAD_KEY),
        (changed(vectors={}), Reason.BAD_VECTOR),
        (
            changed(vectors={"image": {"data": "AACAPw==", "contract_id": "c", "quality": math.nan}}),
            Reason.BAD_JSON,
        ),
        (changed(vectors={"image": {"data": "", "contract_id": "c"}}), Reason.BAD_VECTOR),
        (changed(vectors={"image": {"data": "AAA", "contract_id": "c"}}), Reason.BAD_VECTOR),
        (changed(vectors={"image": {"data": "AAAA", "contract_id": "c"}}), Reason.BAD_VECTOR),
        (changed(vectors={"image": {"data": "ÄÄÄÄ", "contract_id": "c"}}), Reason.BAD_VECTOR),
        (changed(vectors={"image": {"data": "AADAfw==", "contract_id": "c"}}), Reason.BAD_VECTOR),
    ],
    ids=[
        "empty",
        "no fields",
        "deep",
        "version",
        "other key",
        "none",
        "NaN quality",
        "no bytes",
        "padding",
        "3 bytes",
        "text",
        "NaN",
    ],
)
def test_a_value_that_is_no_template_is_refused(value: bytes, reason: Reason) -> None:
    """One broken record does not keep the gallery from loading."""
    fault = decode_template(b"ann/t1", value, SOURCE)
    assert isinstance(fault, Rejected)
    assert fault.reason is reason


def test_readers_ignore_fields_they_do_not_know() -> None:
    """Fields are only ever added within a major version."""
    assert isinstance(decode_template(b"ann/t1", changed(tomorrow=1), SOURCE), Enrolled)


def test_a_quality_that_is_not_finite_is_never_written() -> None:
    """The topic is the durable truth: nothing goes in that would not come out."""
    made = Template(
        identity_id=IdentityId("ann"),
        template_id=TemplateId("t"),
        features={IMAGE: feature(1, quality=float("nan"))},
    )
    with pytest.raises(RecordError, match="cannot be written as JSON"):
        encode_template(made)
