"""`sightline broker`: a real Kafka in the foreground, for a machine that has none."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import platformdirs
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from stream.cli.console import err, fail
from stream.cli.options import settings_with
from stream.local.errors import BrokerUnavailableError
from stream.local.jars import Progress as Told
from stream.local.kafka import LocalKafka
from stream.worker.admin import init_topics
from stream.worker.errors import WorkerError

Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="On loopback; 0 takes a free one.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", file_okay=False, help="Folder of the log. Otherwise one in your data folder."),
]
WithTopics = Annotated[bool, typer.Option("--init", help="Create the topics as well.")]


@contextmanager
def download_bar() -> Iterator[Told]:
    """A progress bar on stderr that appears only if something is downloaded."""
    columns = (TextColumn("Kafka's jars"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("jars", total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def broker(port: Port = 9092, data: Data = None, with_topics: WithTopics = False) -> None:
    """Run a single-node Apache Kafka on loopback until Ctrl-C. Needs no Docker and no Java installed."""
    data_dir = data or platformdirs.user_data_path("sightline") / "kafka"
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with download_bar() as progress:
            kafka = LocalKafka(
                cache_dir=settings_with().cache_dir, data_dir=data_dir, port=port, progress=progress
            ).start()
        with kafka:
            _serve(kafka, with_topics=with_topics)
    except BrokerUnavailableError as error:
        fail(error)
    except KeyboardInterrupt:
        err.print("Kafka is stopped; its data stays.")
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(kafka: LocalKafka, *, with_topics: bool) -> None:
    if with_topics:
        try:
            asyncio.run(init_topics(settings_with(bootstrap=kafka.bootstrap)))
        except WorkerError as error:
            fail(error)
    err.print(f"Kafka is ready; data in {kafka.data_dir}; Ctrl-C stops it. Its address:")
    typer.echo(kafka.bootstrap)
    code = kafka.wait()
    fail(
        f"Kafka ended by itself (exit {code}). Its last words, from {kafka.data_dir / 'broker.log'}:\n"
        f"{kafka.log_tail()}\nStart it again; the data stays."
    )


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
