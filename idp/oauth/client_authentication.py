"""Which client calls (RFC 6749 §2.3): one method a request, and the one that is registered for the client.

Every machine endpoint that asks for a client goes through `prove`, by way of `views.authentication`.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from idp.clients import registered, secrets
from idp.clients.metadata import NOTHING, SECRET_METHODS
from idp.clients.registered import RegisteredClient
from idp.oauth.errors import InvalidClient, InvalidRequest
from idp.platform import forms
from idp.platform.calls import Call
from idp.platform.http_refusals import Malformed

BASIC, POST = SECRET_METHODS
CHALLENGE = 'Basic realm="clients", charset="UTF-8"'
"""What a 401 tells those who tried the header (RFC 6749 §5.2)."""


@dataclass(frozen=True)
class Shown:
    """What a request shows of its client: `method` by its registered name, `credential` as it was sent."""

    method: str
    client_id: str
    credential: str = field(default="", repr=False)


@dataclass(frozen=True)
class Proof:
    """A client that proved who it is."""

    client: RegisteredClient


def prove(call: Call) -> Proof:
    """The client that calls. Not inside `database.writing()`: keys may have to be fetched.

    Raises `InvalidRequest` for more than one method or client id in a request (CLI-02); `InvalidClient` for
    everything else, without telling which it was: no or an unknown client, wrong credential, a method that is not
    the registered one (CLI-01, CLI-03).
    """
    shown = _shown(call)
    client = registered.find(shown.client_id)
    rightful = client if client is not None and client.auth_method == shown.method else None
    proves = METHODS[shown.method].proves(shown, rightful)
    if rightful is None or not proves:
        raise refusal(call)
    return Proof(rightful)


def refusal(call: Call) -> InvalidClient:
    """What whoever did not prove to be a client is told: always the same, with a challenge if the header was tried."""
    return InvalidClient(challenge=CHALLENGE if call.header("Authorization") else "")


def _shown(call: Call) -> Shown:
    every = [shown for method in METHODS.values() if (shown := method.shown(call)) is not None]
    if len(every) > 1:
        raise InvalidRequest("the client authenticates in more than one way")
    if not every:
        raise refusal(call)
    named = _sent(call, "client_id")
    if named and named != every[0].client_id:
        raise InvalidRequest("client_id is not that of the client that authenticates")
    return every[0]


# How each method is recognised, and what it proves


def _in_header(call: Call) -> Shown | None:
    """RFC 6749 §2.3.1: both parts are form-encoded, then joined by a colon."""
    header = call.header("Authorization")
    if not header:
        return None
    scheme, _, encoded = header.partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(" "), validate=True).partition(b":")
        shown = Shown(BASIC, _form_decoded(client_id), _form_decoded(secret))
    except (ValueError, Malformed):
        raise refusal(call) from None
    if scheme.lower() != "basic" or not colon:
        raise refusal(call)
    return shown


def _form_decoded(part: bytes) -> str:
    return forms.text(part.replace(b"+", b" "))


def _in_body(call: Call) -> Shown | None:
    secret = _sent(call, "client_secret")
    return Shown(POST, _sent(call, "client_id"), secret) if secret else None


def _named(call: Call) -> Shown | None:
    """A public client shows its id and nothing else."""
    client_id = _sent(call, "client_id")
    credentials = (call.header("Authorization"), *(_sent(call, name) for name in _CREDENTIALS))
    return Shown(NOTHING, client_id) if client_id and not any(credentials) else None


_CREDENTIALS = ("client_secret", "client_assertion", "client_assertion_type")


def _sent(call: Call, name: str) -> str:
    """RFC 6749 §3.2: a parameter without a value was not sent."""
    return call.form.get(name) or ""


def _has_secret(shown: Shown, _: RegisteredClient | None) -> bool:
    return secrets.recognise(shown.client_id, shown.credential)


def _needs_nothing(_: Shown, client: RegisteredClient | None) -> bool:
    return client is not None


@dataclass(frozen=True)
class Method:
    """A way to authenticate. `shown`: what a request shows in this way, if anything. `proves`: whether that is right
    for the client, `None` if there is none or it is registered for another way; then it does the same work in vain.
    """

    shown: Callable[[Call], Shown | None]
    proves: Callable[[Shown, RegisteredClient | None], bool]


METHODS: Final[Mapping[str, Method]] = {
    BASIC: Method(_in_header, _has_secret),
    POST: Method(_in_body, _has_secret),
    NOTHING: Method(_named, _needs_nothing),
}
