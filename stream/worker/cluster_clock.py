"""Reads the cluster's clock without writing a record.

Kafka has no request for the time, but the leader of the KRaft quorum answers DescribeQuorum (KIP-836) with
the moment at which it was last caught up with itself: now. aiokafka has no such request, so its version 1 is
spelled out here.
"""

import time
from dataclasses import dataclass

from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from stream.worker.admin import admin_client
from stream.worker.errors import WorkerError
from stream.worker.settings import Settings

API_KEY = 55
METADATA_LOG = "__cluster_metadata"

_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)
_REPLICAS = CompactArray(
    ("replica_id", Int32),
    ("log_end_offset", Int64),
    ("last_fetch_timestamp", Int64),
    ("last_caught_up_timestamp", Int64),
    _TAGS,
)


class ClockUnreadableError(WorkerError):
    """The cluster does not tell its time: no KRaft, or these credentials may not describe it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """The cluster's clock against this machine's."""

    ahead_ms: float
    """How far the cluster's clock is ahead of ours; negative when behind."""
    uncertainty_ms: float
    """Half the round trip: the truth lies within `ahead_ms` ± this."""


class _DescribeQuorumResponse(Response):  # type: ignore[misc]  # aiokafka has no types for mypy here
    API_KEY = API_KEY
    API_VERSION = 1
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "topics",
            CompactArray(
                ("topic", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("high_watermark", Int64),
                        ("voters", _REPLICAS),
                        ("observers", _REPLICAS),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeQuorumV1(RequestStruct):  # type: ignore[misc]  # aiokafka has no types for mypy here
    FLEXIBLE_VERSION = True
    API_KEY = API_KEY
    API_VERSION = 1
    RESPONSE_TYPE = _DescribeQuorumResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic", _TEXT), ("partitions", CompactArray(("partition", Int32), _TAGS)), _TAGS),
        ),
        _TAGS,
    )


class _DescribeQuorum(Request[_DescribeQuorumV1]):  # type: ignore[misc]  # aiokafka has no types for mypy here
    API_KEY = API_KEY

    def build(self, request_struct_class: type[_DescribeQuorumV1]) -> _DescribeQuorumV1:
        return request_struct_class([(METADATA_LOG, [(0, {})], {})], {})


async def read_cluster_clock(settings: Settings) -> ClockReading:
    """Compares the clock of the quorum's leader with this machine's.

    Raises:
        BrokerUnreachableError: No broker lets us in.
        ClockUnreadableError: The cluster does not tell.
    """
    async with admin_client(settings) as client:
        try:
            # The first answer opens a connection and fills caches; the second one is timed.
            for _ in range(2):
                sent_ms = time.time() * 1_000
                response = await client._send_request(_DescribeQuorum())  # noqa: SLF001 (no public way to send)
                received_ms = time.time() * 1_000
        except (KafkaError, IncompatibleBrokerVersion, NotImplementedError) as error:
            raise ClockUnreadableError(f"the cluster does not describe its quorum ({error!r})") from error
    if response.error_code != 0:
        reason = for_code(response.error_code).__name__
        raise ClockUnreadableError(f"the cluster refused to describe its quorum ({reason})")
    _number, _error, leader_id, _epoch, _watermark, voters, *_ = response.topics[0][1][0]
    cluster_ms = next(now_ms for replica_id, _end, _fetch, now_ms, _ in voters if replica_id == leader_id)
    return ClockReading(
        ahead_ms=cluster_ms - (sent_ms + received_ms) / 2, uncertainty_ms=(received_ms - sent_ms) / 2
    )
