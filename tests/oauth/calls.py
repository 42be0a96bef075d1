"""Calls to machine endpoints as values, for rules that are tried without a server."""

import base64
import io
from collections.abc import Mapping
from urllib.parse import quote_plus, urlencode

from idp.platform.calls import FORM, Call


def posted(form: Mapping[str, str] | None = None, *, path: str = "/oauth2/token", authorization: str = "") -> Call:
    """A form that is posted to `path`."""
    body = urlencode(form or {}).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "REMOTE_ADDR": "203.0.113.7",
        "CONTENT_TYPE": FORM,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    return Call.of(environ | ({"HTTP_AUTHORIZATION": authorization} if authorization else {}))


def basic(client_id: str, secret: str) -> str:
    """The `Authorization` header of RFC 6749 §2.3.1."""
    return raw_basic(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode())


def raw_basic(credentials: bytes) -> str:
    """The same of whatever bytes."""
    return f"Basic {base64.b64encode(credentials).decode()}"
