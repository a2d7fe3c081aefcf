"""/metrics, /healthz and /readyz on a thread of their own: they answer even when the event loop does not."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

ALIVE_WITHIN_S = 15.0
"""A loop that has not turned for so long is stuck, and a restart is the cure."""


@dataclass(slots=True)
class Health:
    """What the worker says of itself. Written by the event loop, read by the server's threads."""

    assigned: int = 0
    """Partitions of the inputs that this worker owns."""
    gallery_ready: bool = False
    recovered: bool = False
    """The output tail of every assigned partition has been read."""
    turned_at_s: float = field(default_factory=time.monotonic)
    """When the event loop last came round."""

    def turn(self) -> None:
        """Notes that the event loop came round."""
        self.turned_at_s = time.monotonic()

    @property
    def loop_age_s(self) -> float:
        """Seconds since the event loop came round."""
        return time.monotonic() - self.turned_at_s

    @property
    def alive(self) -> bool:
        """Whether the event loop turns."""
        return self.loop_age_s < ALIVE_WITHIN_S

    def unready(self) -> list[str]:
        """What is still missing before decisions can be trusted; empty when ready."""
        missing = []
        if not self.alive:
            missing.append("the event loop is stuck")
        if not self.assigned:
            missing.append(
                "no partition is assigned: more workers than partitions, or the group is rebalancing"
            )
        elif not self.recovered:
            missing.append("the output tail is being read")
        if not self.gallery_ready:
            missing.append("the gallery is catching up with its topic")
        return missing


class _ThreadedServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base's own name
        """Probes come every few seconds; their lines would bury the log."""


class HealthServer:
    """Serves one worker's health and metrics until it is closed."""

    def __init__(self, host: str, port: int, *, health: Health, registry: CollectorRegistry) -> None:
        self._health = health
        self._metrics = make_wsgi_app(registry)
        self._server = make_server(
            host, port, self._respond, server_class=_ThreadedServer, handler_class=_SilentHandler
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on; the one taken where 0 was asked for."""
        return int(self._server.server_port)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stops answering."""
        self._server.shutdown()
        self._server.server_close()

    def _respond(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                answer: Iterable[bytes] = self._metrics(environ, start_response)
                return answer
            case "/healthz":
                return _say(start_response, [] if self._health.alive else ["the event loop is stuck"])
            case "/readyz":
                return _say(start_response, self._health.unready())
            case _:
                start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
                return [b"try /metrics, /healthz or /readyz\n"]


def _say(start_response: StartResponse, problems: list[str]) -> Iterable[bytes]:
    status = "503 Service Unavailable" if problems else "200 OK"
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [("\n".join(problems or ["ok"]) + "\n").encode()]
