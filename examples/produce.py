"""Publishes a photo and a text of one subject: `python examples/produce.py SUBJECT PHOTO.jpg "a woman"`.

Needs nothing of Sightline, only `pip install confluent-kafka`. docs/contracts.md says what each header is.
"""

import argparse
import uuid
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import Producer

parser = argparse.ArgumentParser()
parser.add_argument("subject")
parser.add_argument("photo", type=Path)
parser.add_argument("text")
parser.add_argument("--bootstrap", default="127.0.0.1:9092")
parser.add_argument("--prefix", default="sightline")
options = parser.parse_args()

producer = Producer(
    {
        "bootstrap.servers": options.bootstrap,
        # As Java's clients and Sightline's own do; librdkafka's default would part a subject's halves.
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "message.max.bytes": 5_000_000,
    }
)


def publish(topic: str, value: bytes, content_type: str) -> None:
    """One CloudEvent of the subject."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid.uuid4()),
        "ce_source": "/examples/produce",
        "ce_type": "com.example.sample",
        "ce_time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "content-type": content_type,
    }
    producer.produce(f"{options.prefix}.{topic}.v1", key=options.subject, value=value, headers=headers)


publish("images", options.photo.read_bytes(), "image/jpeg")
publish("texts", options.text.encode(), "text/plain")
if left := producer.flush(30):
    parser.exit(1, f"{left} records were not taken within 30 s\n")
print(f"published a photo and a text of {options.subject}")
