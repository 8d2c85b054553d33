"""An HTTP proxy on a free port that passes requests on, and spoils a share of them."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ("reset", "lose the answer", "cut the answer", "cut the request", "delay", "503")
DELAY_SECONDS = 0.3
_HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}


class FaultyProxy(ThreadingHTTPServer):
    """Stands in front of the server on a port.

    Attributes:
        seen: How many requests met each fault; those passed on unspoiled under "none".
        upload_held: Set once an upload waits that `hold_uploads_from` holds back.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        target: int,
        *,
        rate: float = 0.0,
        faults: tuple[str, ...] = FAULTS,
        seed: int = 0,
        hold_uploads_from: int | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.seen: Counter[str] = Counter()
        self.upload_held = threading.Event()
        self.closing = threading.Event()
        self._rate, self._faults = rate, faults
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._uploads, self._hold_from = 0, hold_uploads_from

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def draw(self) -> str:
        """Draw the fault that a request meets."""
        with self._lock:
            bad = self._random.random() < self._rate
            fault = self._random.choice(self._faults) if bad else "none"
            self.seen[fault] += 1
            return fault

    def hold(self, method: str) -> None:
        """Keep an upload waiting for good when there were as many as it takes."""
        with self._lock:
            self._uploads += method == "PUT"
            held = self._hold_from is not None and self._uploads > self._hold_from
        if held:
            self.upload_held.set()
            self.closing.wait(60)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: clients are meant to lose connections."""


@contextmanager
def faulty_proxy(proxy: FaultyProxy) -> Iterator[FaultyProxy]:
    """Serve until the end of the block."""
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.closing.set()
        proxy.shutdown()
        thread.join()
        proxy.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def _answer(self) -> None:
        fault = self.server.draw()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.hold(self.command)
        if fault == "reset":
            return self._reset()
        if fault.isdigit():
            return self._send(int(fault), [("Retry-After", "0")], b"")
        if fault == "delay":
            time.sleep(DELAY_SECONDS)
        upstream = HTTPConnection("127.0.0.1", self.server.target, timeout=60)
        try:
            response = self._forward(upstream, body, whole=fault != "cut the request")
            if response is None or fault == "lose the answer":
                return self._reset()
            content = response.read()
            if fault == "cut the answer":
                self._send(response.status, response.getheaders(), content, cut=True)
                return self._reset()
            return self._send(response.status, response.getheaders(), content)
        finally:
            upstream.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815  named by its base

    def _forward(
        self, upstream: HTTPConnection, body: bytes, *, whole: bool
    ) -> HTTPResponse | None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                upstream.putheader(name, value)
        upstream.endheaders(body if whole else body[: len(body) // 2])
        return upstream.getresponse() if whole else None

    def _send(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, cut: bool = False
    ) -> None:
        lowered = {name.lower(): value for name, value in headers}
        kept = {name: value for name, value in lowered.items() if name not in _HOP_BY_HOP}
        if self.command != "HEAD":
            kept["content-length"] = str(len(body))
        self.send_response_only(status)
        for name, value in kept.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        self.wfile.flush()

    def _reset(self) -> None:
        """Close the connection so that the client gets a reset, not an end."""
        abort = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
        self.connection.shutdown(socket.SHUT_RD)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Stay silent."""
