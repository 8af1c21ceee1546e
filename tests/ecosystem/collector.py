"""A server on loopback that stands in for the servers of tracers, and keeps what they receive."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Received(NamedTuple):
    """One request."""

    path: str
    raw: bytes

    def json(self) -> Any:
        """Return the body, if it is JSON."""
        return json.loads(self.raw)


class Span(NamedTuple):
    """A finished span of OpenTelemetry."""

    name: str
    attributes: dict[str, Any]
    status: str
    events: list[dict[str, Any]]


class Collector(ThreadingHTTPServer):
    """OTLP over HTTP, and every other API that takes its data by POST, PUT or PATCH."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[Received] = []

    @property
    def url(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Span]:
        """Return the spans that have arrived."""
        requests = [one for one in self.received if one.path.endswith("/traces")]
        return [span for one in requests for span in _spans_of(one.raw)]

    def sums(self, *names: str) -> dict[str, int]:
        """Return the sum of each of these attributes over all spans."""
        attributes = [span.attributes for span in self.spans()]
        return {name: sum(int(one.get(name, 0)) for one in attributes) for name in names}

    def wait(self, enough: Callable[[], bool], seconds: float = 10) -> None:
        """Wait until something has arrived."""
        end = time.monotonic() + seconds
        while not enough():
            assert time.monotonic() < end, [one.path for one in self.received]
            time.sleep(0.02)


def running() -> Iterator[Collector]:
    """Run a collector until the generator is closed."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _spans_of(raw: bytes) -> Iterator[Span]:
    """Yield the spans of an OTLP body."""
    for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                events = [_values(event.attributes) for event in span.events]
                yield Span(span.name, _values(span.attributes), span.status.message, events)


def _values(attributes: Any) -> dict[str, Any]:
    """Return OTLP attributes as a dictionary."""
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    """Return an OTLP value as a Python value."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind else None


class _Handler(BaseHTTPRequestHandler):
    """Handler that keeps a request and answers with an empty object."""

    server: Collector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Keep the body."""
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        self.server.received.append(Received(self.path.partition("?")[0], raw))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_PUT = do_PATCH = do_GET = do_POST  # noqa: N815 -- the names that http.server calls

    def log_message(self, *_: Any) -> None:
        """Write no log."""
