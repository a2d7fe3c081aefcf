"""Prints decisions as they are made: `python examples/consume.py --limit 1`.

Needs nothing of Sightline, only `pip install confluent-kafka`. After a crash a decision may come twice, under
the same `decision_id`: a consumer remembers what it has acted on, a real one where it keeps its own data. A
decision that is not `final` will be superseded.
"""

import argparse
import json

from confluent_kafka import Consumer

parser = argparse.ArgumentParser()
parser.add_argument("--bootstrap", default="127.0.0.1:9092")
parser.add_argument("--prefix", default="sightline")
parser.add_argument("--group", default="example")
parser.add_argument("--limit", type=int, default=0, help="end after so many")
options = parser.parse_args()

consumer = Consumer(
    {
        "bootstrap.servers": options.bootstrap,
        "group.id": options.group,
        "auto.offset.reset": "earliest",
        # Committed below, after the decision was acted on.
        "enable.auto.commit": False,
    }
)
consumer.subscribe([f"{options.prefix}.matches.v1"])
done: set[str] = set()
try:
    while not options.limit or len(done) < options.limit:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            parser.exit(1, f"{message.error()}\n")
        decision = json.loads(message.value())
        if decision["final"] and decision["decision_id"] not in done:
            done.add(decision["decision_id"])
            who = decision["identity_id"] or ", ".join(decision["reasons"])
            print(decision["subject_id"], decision["outcome"], who, flush=True)
        consumer.commit(message)
except KeyboardInterrupt:
    pass
finally:
    consumer.close()
