"""The Faust app: what Faust is trusted with (group, assignment, agents), and what makes that safe."""

import socket
import tempfile
from typing import Any

import faust
import mode

from stream.worker.clients import faust_credentials
from stream.worker.enroller import Enroller
from stream.worker.faust_internals import use_prompt_transport
from stream.worker.pipeline import Pipeline
from stream.worker.settings import Settings

BUFFERED_RECORDS = 1024
"""Records that Faust may hold undecoded for one agent, photos among them: at 60 KB each this is 60 MB."""

FETCHED_RECORDS = 500
"""Records that Faust takes at once: of an input that is to be held back no more than these come after."""


def build_app(settings: Settings, *, instance_id: str) -> faust.App:
    """A Faust app without agents, a static member of its group by the name of `instance_id`.

    Faust's own web server, tables, topic declaration and acknowledgement are off: each of them either
    exposes or loses something. What stays is the consumer group with the co-partitioning assignor, which
    Faust uses only while `table_standby_replicas` is at least 1.
    """
    app = faust.App(
        settings.app_id,
        broker=[f"kafka://{server.strip()}" for server in settings.bootstrap.split(",")],
        broker_credentials=faust_credentials(settings),
        datadir=tempfile.gettempdir(),
        agent_supervisor=mode.supervisors.CrashingSupervisor,
        processing_guarantee="at_least_once",
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        table_standby_replicas=1,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED_RECORDS,
        stream_recovery_delay=0.0,
        consumer_group_instance_id=instance_id,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 << 20,
        broker_client_id=f"{settings.app_id}-{socket.gethostname()}",
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 7,
        broker_rebalance_timeout=settings.session_timeout_s,
        broker_request_timeout=max(30.0, settings.session_timeout_s),
        broker_commit_interval=1.0,
        broker_max_poll_records=FETCHED_RECORDS,
        producer_linger=0,
        producer_request_timeout=30.0,
        web_enabled=False,
    )
    use_prompt_transport(app)
    return app


def attach(app: faust.App, settings: Settings, pipeline: Pipeline, enroller: Enroller) -> None:
    """Gives the app its two agents, and the pipeline its assignments."""
    names = settings.topics
    inputs = tuple(names.inputs.values())

    @app.agent(app.topic(*inputs, key_serializer="raw", value_serializer="raw"), name="join")  # type: ignore[untyped-decorator]
    async def join(stream: Any) -> None:
        async for event in stream.noack().events():
            await pipeline.on_event(event)

    @app.agent(  # type: ignore[untyped-decorator]  # faust ships no types
        app.topic(names.enrolments, key_serializer="raw", value_serializer="raw"), name="enrol"
    )
    async def enrol(stream: Any) -> None:
        async for event in stream.noack().events():
            await enroller.on_event(event)

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]  # faust ships no types
    async def assigned(_app: Any, assigned: set[Any], **_: Any) -> None:
        await pipeline.assigned({tp.partition for tp in assigned if tp.topic in inputs})

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]  # faust ships no types
    async def revoked(_app: Any, *_: Any, **__: Any) -> None:
        await pipeline.revoked()

    # Signals hold their receivers weakly; the app has to hold these.
    app.sightline_receivers = (assigned, revoked)
