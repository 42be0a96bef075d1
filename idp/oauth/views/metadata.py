"""`/.well-known/…`: what this provider can do, and the keys that its tokens are verified by. Public, from memory."""

from flask import Flask

from idp.keys import jwks
from idp.oauth import cors, discovery
from idp.oauth.views import machine
from idp.platform.access import public
from idp.platform.calls import JSON, Answer, Call

_READ = ("GET", "HEAD")


def init(app: Flask) -> None:
    """Serve the documents in `app`."""
    for path, rule in (
        ("/.well-known/openid-configuration", openid_configuration),
        ("/.well-known/oauth-authorization-server", authorization_server),
        ("/.well-known/authzen-configuration", decision_point),
        ("/.well-known/jwks.json", key_set),
    ):
        machine.mount(app, path, rule, methods=_READ, readable_by=cors.anybody)


@public
def openid_configuration(call: Call) -> Answer:
    """The metadata (OpenID Connect Discovery §4)."""
    document = discovery.document()
    return _published(call, document.body, document.etag, JSON, discovery.CACHE_CONTROL)


@public
def authorization_server(call: Call) -> Answer:
    """The same metadata where OAuth looks for it (RFC 8414 §3)."""
    return openid_configuration(call)


@public
def decision_point(call: Call) -> Answer:
    """Where services ask for decisions (AuthZEN Authorization API 1.0 §9.2)."""
    document = discovery.decision_point()
    return _published(call, document.body, document.etag, JSON, discovery.CACHE_CONTROL)


@public
def key_set(call: Call) -> Answer:
    """The keys (RFC 7517 §5)."""
    document = jwks.document()
    return _published(call, document.body, document.etag, jwks.MEDIA_TYPE, jwks.CACHE_CONTROL)


def _published(call: Call, body: bytes, etag: str, media_type: str, caching: str) -> Answer:
    """The document, or that the caller has it already (RFC 9110 §13.1.2)."""
    headers = (("ETag", etag), ("Cache-Control", caching))
    if _is_known(call.header("If-None-Match"), etag):
        return Answer(304, b"", media_type, headers)
    return Answer(200, body, media_type, headers)


def _is_known(presented: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in presented.split(",")]
    return etag in tags or tags == ["*"]
