"""/healthz, /readyz and /metrics say what is so, each on its own."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry, Counter

from stream.worker.health import ALIVE_WITHIN_S, Health, HealthServer


@dataclass(slots=True)
class Served:
    """A running server and what it reports on."""

    health: Health
    server: HealthServer

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def served() -> Iterator[Served]:
    """A server on a free port of loopback."""
    health, registry = Health(), CollectorRegistry()
    Counter("sightline_things", "Things", registry=registry).inc(3)
    server = HealthServer("127.0.0.1", 0, health=health, registry=registry)
    server.start()
    yield Served(health=health, server=server)
    server.close()


def test_ready_needs_an_assignment_its_tail_and_the_gallery(served: Served) -> None:
    """Each of the three is named while it is missing."""
    status, body = served.get("/readyz")
    assert status == 503
    assert "no partition" in body
    assert "gallery" in body
    served.health.assigned = 4
    assert "output tail" in served.get("/readyz")[1]
    served.health.recovered = True
    served.health.gallery_ready = True
    assert served.get("/readyz") == (200, "ok\n")


def test_a_stuck_loop_is_not_alive(served: Served) -> None:
    """The server answers on its own thread, so it can say that the loop does not turn."""
    assert served.get("/healthz") == (200, "ok\n")
    served.health.turned_at_s -= ALIVE_WITHIN_S + 1
    assert served.get("/healthz")[0] == 503
    served.health.turn()
    assert served.get("/healthz")[0] == 200


def test_metrics_are_those_of_its_registry(served: Served) -> None:
    """The registry is our own, not the global one."""
    status, body = served.get("/metrics")
    assert status == 200
    assert "sightline_things_total 3.0" in body


def test_any_other_path_is_not_found(served: Served) -> None:
    """Nothing else is served: no tables, no router."""
    assert served.get("/table/")[0] == 404
