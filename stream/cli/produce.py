"""`sightline produce`: the operator's own photos and texts as a stream of subjects."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from index.records import IMAGE, TEXT
from stream.cli.console import out, print_json
from stream.cli.enrol import counting
from stream.cli.kafka_clients import Sender, new_run_id, now_ms, sender
from stream.cli.options import AsJson, Bootstrap, settings_with
from stream.cli.publishing import sample_event
from stream.cli.running import ending_well, run
from stream.demo.folders import read_people
from stream.demo.people import LabelledPhoto, Role
from stream.features.guards import UNDECLARED
from stream.worker.settings import Settings

ORIGIN = "sightline-produce"

PhotosPath = Annotated[
    Path, typer.Argument(help="A folder of people (DIR/<identity>/<photo>.jpg) or a manifest CSV.")
]
Rate = Annotated[float, typer.Option("--rate", min=0.01, help="Subjects a second.")]


def produce(
    path: PhotosPath, rate: Rate = 10.0, bootstrap: Bootstrap = None, as_json: AsJson = False
) -> None:
    """Publish the photos and texts of a folder as subjects, at a steady rate.

    Each photo is a subject of its own, named after its file, with the text that stands beside it. Of a
    manifest with roles those are left out that are there to be enrolled. `sightline tail` shows what is
    decided.
    """
    settings = settings_with(bootstrap=bootstrap)
    with ending_well():
        photos = [p for p in read_people(path) if p.role is not Role.ENROL]
    began_s = time.monotonic()
    with counting("publishing", len(photos)) as tick:
        published = run(_produce(settings, photos, rate, tick))
    seconds = time.monotonic() - began_s
    if as_json:
        print_json({"subjects": len(photos), "events": dict(published), "seconds": round(seconds, 3)})
        return
    events = ", ".join(f"{count} {topic}" for topic, count in sorted(published.items()))
    out.print(f"{len(photos)} subjects published in {seconds:.1f} s: {events}")


async def _produce(
    settings: Settings, photos: Sequence[LabelledPhoto], rate_hz: float, tick: Callable[[None], None]
) -> Counter[str]:
    """Publishes each subject when its turn has come; returns how many events each modality had."""
    run_id, published = new_run_id(), Counter[str]()
    began_s = time.monotonic()
    async with sender(settings) as to_broker:
        for number, labelled in enumerate(photos):
            await asyncio.sleep(max(0.0, began_s + number / rate_hz - time.monotonic()))
            published += await _publish(settings, to_broker, run_id, labelled)
            tick(None)
    return published


async def _publish(
    settings: Settings, to_broker: Sender, run_id: str, labelled: LabelledPhoto
) -> Counter[str]:
    topics, photo = settings.topics.inputs, labelled.photo
    samples = {IMAGE: (UNDECLARED, photo.read())}
    if photo.caption:
        samples[TEXT] = ("text/plain", photo.caption.encode())
    time_ms = now_ms()
    async with asyncio.TaskGroup() as sending:
        for modality, (content_type, data) in samples.items():
            event = sample_event(
                subject_id=photo.name,
                modality=modality,
                event_id=f"{run_id}/{photo.name}/{modality}",
                origin=ORIGIN,
                time_ms=time_ms,
                content_type=content_type,
                data=data,
            )
            sending.create_task(to_broker.send(topics[modality], event))
    return Counter(samples.keys())
