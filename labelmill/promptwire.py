"""One request to an OpenAI-compatible endpoint: the connection, its deadline, the reply's form.

Built on requests, which Beam depends on. When to ask and how often is in `labelmill.promptclient`.
"""

from __future__ import annotations

import email.utils
import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

MAX_PAUSE = 120.0
"""Most seconds to wait before asking again, whatever an endpoint asks for."""

MAX_REPLY_BYTES = 4 << 20
"""A longer reply is an error; an answer is one word."""

_CONNECT_SECONDS = 10.0
_COUNTS = ("prompt_tokens", "completion_tokens")
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_NEVER_SENT = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.ProxyError,
    requests.exceptions.SSLError,
)


class AttemptError(Exception):
    """One attempt failed.

    Attributes:
        again: Whether another one may succeed.
        after: Seconds that the endpoint wants to be left alone.
        charged: Whether the endpoint may have answered, and charge for it.
    """

    def __init__(
        self, message: str, *, again: bool, after: float = 0.0, charged: bool = False
    ) -> None:
        super().__init__(message)
        self.again = again
        self.after = after
        self.charged = charged


@dataclass(frozen=True)
class Reply:
    """What an endpoint replied.

    Attributes:
        text: The answer.
        cut: The model was stopped at its most tokens.
        refused: The model or a filter declined.
        prompt_tokens: None where the endpoint does not count.
        completion_tokens: Likewise.
    """

    text: str
    cut: bool
    refused: bool
    prompt_tokens: int | None
    completion_tokens: int | None


class Line(HTTPAdapter):
    """One thread's connection to an endpoint, which another thread may cut at its deadline.

    The timeouts of sockets start again with every byte, so alone they do not end a request.

    Args:
        endpoint: Base URL, without ``/chat/completions``.
        key: API key; empty for none.
        timeout: Seconds that a request may take as a whole.
    """

    def __init__(self, endpoint: str, key: str, timeout: float) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._endpoint = endpoint
        self._url = f"{endpoint}/chat/completions"
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json", "User-Agent": "labelmill"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        with requests.Session() as session:  # proxies and certificates as the environment has them
            options: Any = session.merge_environment_settings(self._url, {}, True, None, None)
        # Should nobody cut it, the socket ends a silence a little later.
        self._options = {**options, "timeout": (min(timeout, _CONNECT_SECONDS), timeout + 5)}
        self._connection: Any = None
        self._socket: Any = None
        self._deadline: float | None = None
        self._is_cut = False
        self._lock = threading.Lock()

    def post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Send a request and return status, headers and content.

        Raises:
            AttemptError: The endpoint cannot be reached, breaks off, or takes too long.
        """
        self._begin()
        response = None
        try:
            # Without a session, which would follow redirects and put a .netrc in the key's place.
            request = requests.Request("POST", self._url, headers=self._headers, data=body)
            response = self.send(request.prepare(), **self._options)
            content = response.raw.read(MAX_REPLY_BYTES + 1, decode_content=True)
        except _FAILURES as error:
            if self._end():
                raise self._failure(error) from None
            raise self._too_late() from None
        finally:
            if response is not None:
                response.close()
        if not self._end():  # a body without a length looks complete when it was cut
            raise self._too_late()
        if len(content) > MAX_REPLY_BYTES:
            message = f"{self._endpoint} sent a reply of more than {MAX_REPLY_BYTES} bytes"
            raise AttemptError(message, again=False, charged=True)
        return response.status_code, response.headers, content

    def get_connection_with_tls_context(
        self, *args: Any, **kwargs: Any
    ) -> urllib3.connectionpool.HTTPConnectionPool:
        """Return the pool, whose connections make themselves known to this object."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        if not issubclass(pool.ConnectionCls, _KnownConnection):
            bases = (_KnownConnection, pool.ConnectionCls)
            pool.ConnectionCls = type("Connection", bases, {"line": self})
        return pool

    def hold(self, connection: Any) -> None:
        """Note the connection in use; raises when its time is over."""
        self._connection = connection
        # A reply that ends with its connection takes the socket along and leaves None.
        self._socket = connection.sock or self._socket
        if self._is_cut:
            raise TimeoutError("the request took too long")

    def cut_if_late(self) -> None:
        """End a request whose time is over."""
        with self._lock:
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._shut()

    def cut(self) -> None:
        """End the request under way, if any, and let none follow."""
        with self._lock:
            self._deadline = None
            self._shut()

    def _shut(self) -> None:
        self._is_cut = True  # before looking at the socket: `hold` does it the other way round
        for sock in (self._socket, getattr(self._connection, "sock", None)):
            if isinstance(sock, socket.socket):
                with suppress(OSError):  # closed already
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _begin(self) -> None:
        with self._lock:
            if self._is_cut:
                raise AttemptError("stopped", again=False)
            self._deadline = time.monotonic() + self._timeout

    def _end(self) -> bool:
        """Tell whether the request was in time, and forget its deadline."""
        with self._lock:
            in_time = not self._is_cut
            if self._deadline is not None:  # cut for being late, not for good
                self._is_cut = False
            self._deadline = self._socket = None
            return in_time

    def _too_late(self) -> AttemptError:
        message = f"{self._endpoint} did not finish its reply in {self._timeout:g} s"
        return AttemptError(message, again=True, charged=True)

    def _failure(self, error: Exception) -> AttemptError:
        """Say what failed, without the addresses of objects that requests puts into its errors."""
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
            reason = "timed out"
        else:
            reason = type(error).__name__
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException):
                    reason = cause.strerror or str(cause) or type(cause).__name__
                cause = cause.__cause__ or cause.__context__
        refusal = getattr(error.args[0], "reason", None) if error.args else None
        never_sent = isinstance(error, _NEVER_SENT) or isinstance(
            refusal, urllib3.exceptions.NewConnectionError
        )
        message = f"no reply from {self._endpoint}: {reason}"
        return AttemptError(message, again=True, charged=not never_sent)


class _KnownConnection:
    """What makes a urllib3 connection known to its line before it can block."""

    line: Line

    def connect(self) -> None:
        self.line.hold(self)
        super().connect()  # type: ignore[misc]  # beside a connection class
        self.line.hold(self)

    def request(self, *args: Any, **kwargs: Any) -> None:
        self.line.hold(self)
        super().request(*args, **kwargs)  # type: ignore[misc]


def read_reply(content: bytes) -> Reply:
    """Read a chat completion, of which every part may be missing or of another type.

    Raises:
        AttemptError: It has no message.
    """
    try:
        value = json.loads(content)
        choice = value["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
        reason, usage = choice.get("finish_reason"), value.get("usage")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        shown = printable(content[:2000].decode("utf-8", "replace"))
        message = f"the endpoint's reply is no chat completion: {shown}"
        raise AttemptError(message, again=True, charged=True) from None
    counts = [usage.get(n) if isinstance(usage, dict) else None for n in _COUNTS]
    prompt, completion = (c if type(c) is int and 0 <= c < 1 << 40 else None for c in counts)
    return Reply(
        text if isinstance(text, str) else "",
        reason == "length",
        bool(refusal) or reason == "content_filter",
        prompt,
        completion,
    )


def read_error(content: bytes) -> tuple[str, str]:
    """Return the code and the text of an error reply, whatever it is."""
    try:
        error = json.loads(content)["error"]
        code, text = str(error.get("code")), str(error["message"])
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        code, text = "", content[:2000].decode("utf-8", "replace")
    return code, printable(text)


def printable(text: str) -> str:
    """Return the beginning of text from outside, fit for a message."""
    return re.sub(r"[^ -~\u00a1-\ud7ff\ue000-\uffef]+", " ", text).strip()[:200] or "(no text)"


def retry_after(value: str | None) -> float:
    """Return the seconds that a Retry-After header asks for: a number or a date; 0 for neither.

    >>> retry_after("3"), retry_after("soon"), retry_after("86400")
    (3.0, 0.0, 120.0)
    """
    try:
        seconds = float(value or 0)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(value or "")
            seconds = date.timestamp() - time.time()
        except (ValueError, OverflowError):
            return 0.0
    return min(seconds, MAX_PAUSE) if seconds > 0 else 0.0
