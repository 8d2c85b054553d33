"""Credentials in URLs: refused, because URLs are stored in manifests and shown on screens."""

from __future__ import annotations

import re

ADVICE = "credentials come from the environment, see docs/howto/object-stores.md"

_HIDDEN = "***"
_PASSWORD = re.compile(r"(://[^/@:\s]*):[^/@\s]*@")
_SIGNED = re.compile(
    r"([?&](?:access_?token|api_?key|auth|key|password|secret|sig|signature|token"
    r"|x-(?:amz|goog)-(?:credential|security-token|signature))=)[^&#\s]+",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """Return text with the passwords, tokens and signatures of URLs in it made unreadable.

    >>> without_credentials("s3://me:secret@bucket/a and https://host/a?sig=abc&x=1")
    's3://me:***@bucket/a and https://host/a?sig=***&x=1'
    """
    return _SIGNED.sub(rf"\1{_HIDDEN}", _PASSWORD.sub(rf"\1:{_HIDDEN}@", text))


def checked_uri(uri: str) -> str:
    """Return a path or URL that holds no credentials.

    Raises:
        ValueError: It does; the message does not show them.
    """
    shown = without_credentials(uri)
    if "://" in uri and shown != uri:
        raise ValueError(f"{shown} holds a password, token or signature; {ADVICE}")
    return uri
