"""A real HTTP server on a free port that answers prompts, or misbehaves, by script."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler", Mapping[str, Any]], None]


def completion(text: str | None, *, usage: Any = None, finish: str = "stop", **message: Any) -> Any:
    reply: dict[str, Any] = {
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, **message},
            }
        ],
    }
    if usage is not None:
        reply["usage"] = usage
    return reply


def says(text: str | None, **options: Any) -> Behaviour:
    """Answer with `text`."""
    return lambda handler, _: handler.send(200, completion(text, **options))


def status(code: int, content: Any = None, **headers: str) -> Behaviour:
    """Answer with a status other than 200."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = {"error": {"message": f"status {code}"}} if content is None else content
    return lambda handler, _: handler.send(code, error, named)


def raw(content: bytes) -> Behaviour:
    """Answer 200 with these bytes."""
    return lambda handler, _: handler.send(200, content)


def hang(handler: Handler, _: Mapping[str, Any]) -> None:
    """Never answer."""
    handler.server.closing.wait(60)
    handler.close_connection = True


def close(handler: Handler, _: Mapping[str, Any]) -> None:
    """Close the connection without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def trickle_headers(handler: Handler, _: Mapping[str, Any]) -> None:
    """Send a header that never ends, byte by byte."""
    _drip(handler, b"HTTP/1.1 200 OK\r\nX-Long: ")


def trickle_body(handler: Handler, _: Mapping[str, Any]) -> None:
    """Send a body without a length that never ends, byte by byte."""
    _drip(handler, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")


def _drip(handler: Handler, start: bytes) -> None:
    handler.close_connection = True
    try:
        handler.wfile.write(start)
        while not handler.server.closing.wait(0.02):
            handler.wfile.write(b" ")
    except OSError:
        pass


def counted(handler: Handler, body: Mapping[str, Any]) -> None:
    """Answer spam where the record has "cash", with a count of the tokens it got."""
    system, user = (message["content"] for message in body["messages"])
    record = "".join(re.findall(r"<data>(.*?)</data>", user, re.DOTALL))
    usage = {"prompt_tokens": len(system + user) // 4, "completion_tokens": 2}
    handler.send(200, completion("spam" if "cash" in record else "ham", usage=usage))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: PromptServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        behaviour = self.server.begin(self, body)
        try:
            behaviour(self, body)
        except OSError:  # the client gave up
            self.close_connection = True
        finally:
            self.server.end()

    def send(self, code: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class PromptServer(ThreadingHTTPServer):
    """Answers at `url`; behaves as `script` says request by request, then as `otherwise` says."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *script: Behaviour, otherwise: Behaviour = counted) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.script = list(script)
        self.otherwise = otherwise
        self.bodies: list[Mapping[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.at_once = 0
        self.most_at_once = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][1]["content"] for body in self.bodies]

    def begin(self, handler: Handler, body: Mapping[str, Any]) -> Behaviour:
        with self._lock:
            self.bodies.append(body)
            self.headers.append(dict(handler.headers))
            self.paths.append(handler.path)
            self.times.append(time.monotonic())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            return self.script.pop(0) if self.script else self.otherwise

    def end(self) -> None:
        with self._lock:
            self.at_once -= 1

    def __enter__(self) -> PromptServer:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """Keep quiet: clients that go away are what is tested."""


if __name__ == "__main__":  # for measurements, in a process of its own
    with PromptServer() as server:
        print(server.url, flush=True)
        threading.Event().wait()
