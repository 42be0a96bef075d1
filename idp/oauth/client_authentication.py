"""Which client calls (RFC 6749 §2.3): one method a request, and the one that is registered for the client.

Every machine endpoint that asks for a client goes through `views.authentication`, which takes these steps: `read` what
is shown, fetch keys if they are `due`, `prove`, and `spend` what serves once.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from idp.clients import key_sets, secrets
from idp.clients.key_sets import Due
from idp.clients.metadata import NOTHING, SECRET_METHODS
from idp.clients.registered import RegisteredClient
from idp.oauth import active_clients, client_assertions
from idp.oauth.client_assertions import Assertion, BadAssertion
from idp.oauth.errors import InvalidClient, InvalidRequest
from idp.platform import forms
from idp.platform.calls import Call
from idp.platform.http_refusals import Malformed

BASIC, POST = SECRET_METHODS
SIGNED: Final = "private_key_jwt"
CHALLENGE: Final = 'Basic realm="clients", charset="UTF-8"'
"""What a 401 tells those who tried the header (RFC 6749 §5.2)."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Shown:
    """What a request shows of its client: `method` by its registered name, `secret` or `assertion` with some of them.

    `endpoint`: the path that was called. `challenge`: what to tell if it is not right.
    """

    method: str
    client_id: str
    endpoint: str
    secret: str = field(default="", repr=False)
    assertion: Assertion | None = None
    challenge: str = ""


@dataclass(frozen=True)
class Proof:
    """A client that proved who it is. `assertion`: what it did that with, if that serves once."""

    client: RegisteredClient
    assertion: Assertion | None


def read(call: Call) -> Shown:
    """What the request shows of its client. Nothing is asked of the database.

    Raises `InvalidRequest` for more than one method or client id in a request (CLI-02), `InvalidClient` where there is
    none, or none that can be read.
    """
    ways = [name for name, method in METHODS.items() if method.is_used(call)]
    if len(ways) > 1:
        raise InvalidRequest("the client authenticates in more than one way")
    if not ways:
        raise refusal(call)
    shown = METHODS[ways[0]].shown(call)
    named = _sent(call, "client_id")
    if named and named != shown.client_id:
        raise InvalidRequest("client_id is not that of the client that authenticates")
    return shown


def due(shown: Shown) -> Due | None:
    """The keys that have to be fetched before `prove`, if any: most of the time none."""
    assertion = shown.assertion
    client = _rightful(shown) if assertion is not None else None
    if client is None or assertion is None:
        return None
    try:
        client_assertions.check_claims(assertion, client, shown.endpoint)
    except BadAssertion:
        return None
    return key_sets.due(client, kid=assertion.kid, alg=assertion.alg)


def prove(shown: Shown) -> Proof:
    """The client that was shown, if what was shown is right. What serves once is to be spent, then.

    Raises `InvalidClient` without telling why: an unknown or disabled client, a wrong credential, a method that is not
    the registered one (CLI-01, CLI-03).
    """
    client = _rightful(shown)
    proves = METHODS[shown.method].proves(shown, client)
    if client is None or not proves:
        raise InvalidClient(challenge=shown.challenge)
    return Proof(client, shown.assertion)


def spend(proof: Proof) -> None:
    """Use up what serves once. Inside `database.writing()`. Raises `InvalidClient` when it was used before (CLI-06)."""
    if proof.assertion is not None and not client_assertions.spend(proof.assertion):
        log.warning("client assertion used before", client=proof.client.id)
        raise InvalidClient


def refusal(call: Call) -> InvalidClient:
    """What whoever did not prove to be a client is told: always the same, with a challenge if the header was tried."""
    return InvalidClient(challenge=CHALLENGE if call.header("Authorization") else "")


def _rightful(shown: Shown) -> RegisteredClient | None:
    """The client, if it is registered for the method."""
    client = active_clients.find(shown.client_id)
    return client if client is not None and client.auth_method == shown.method else None


# How each method is recognised and read


def _has_header(call: Call) -> bool:
    return bool(call.header("Authorization"))


def _in_header(call: Call) -> Shown:
    """RFC 6749 §2.3.1: both parts are form-encoded, then joined by a colon."""
    scheme, _, encoded = call.header("Authorization").partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(encoded.strip(" "), validate=True).partition(b":")
        shown = Shown(BASIC, _form_decoded(client_id), call.path, _form_decoded(secret), challenge=CHALLENGE)
    except (ValueError, Malformed):
        raise refusal(call) from None
    if scheme.lower() != "basic" or not colon:
        raise refusal(call)
    return shown


def _form_decoded(part: bytes) -> str:
    return forms.text(part.replace(b"+", b" "))


def _has_secret(call: Call) -> bool:
    return bool(_sent(call, "client_secret"))


def _in_body(call: Call) -> Shown:
    return Shown(POST, _sent(call, "client_id"), call.path, _sent(call, "client_secret"))


def _has_assertion(call: Call) -> bool:
    return bool(_sent(call, "client_assertion") or _sent(call, "client_assertion_type"))


def _asserted(call: Call) -> Shown:
    """RFC 7521 §4.2: the assertion with its type; `client_id` is optional."""
    raw, kind = _sent(call, "client_assertion"), _sent(call, "client_assertion_type")
    if not raw or not kind:
        raise InvalidRequest("client_assertion and client_assertion_type go together")
    try:
        if kind != client_assertions.TYPE:
            raise BadAssertion("of another type")
        assertion = client_assertions.read(raw)
    except BadAssertion as reason:
        log.info("client assertion refused", client=_sent(call, "client_id")[:128], reason=str(reason))
        raise refusal(call) from None
    return Shown(SIGNED, assertion.client_id, call.path, assertion=assertion)


def _has_name_alone(call: Call) -> bool:
    return bool(_sent(call, "client_id")) and not (_has_header(call) or _has_secret(call) or _has_assertion(call))


def _named(call: Call) -> Shown:
    return Shown(NOTHING, _sent(call, "client_id"), call.path)


def _sent(call: Call, name: str) -> str:
    """RFC 6749 §3.2: a parameter without a value was not sent."""
    return call.form.get(name) or ""


# What each method proves


def _knows_secret(shown: Shown, _: RegisteredClient | None) -> bool:
    return secrets.recognise(shown.client_id, shown.secret)


def _holds_key(shown: Shown, client: RegisteredClient | None) -> bool:
    if client is None or shown.assertion is None:
        return False
    try:
        client_assertions.check(shown.assertion, client, shown.endpoint)
    except BadAssertion as reason:
        log.info("client assertion refused", client=client.id, reason=str(reason))
        return False
    return True


def _needs_nothing(_: Shown, client: RegisteredClient | None) -> bool:
    return client is not None


@dataclass(frozen=True)
class Method:
    """A way to authenticate. `is_used`: whether a request tries it; then `shown` is what it shows. `proves`: whether
    that is right for the client, `None` if there is none, or if it is registered for another way.
    """

    is_used: Callable[[Call], bool]
    shown: Callable[[Call], Shown]
    proves: Callable[[Shown, RegisteredClient | None], bool]


METHODS: Final[Mapping[str, Method]] = {
    BASIC: Method(_has_header, _in_header, _knows_secret),
    POST: Method(_has_secret, _in_body, _knows_secret),
    SIGNED: Method(_has_assertion, _asserted, _holds_key),
    NOTHING: Method(_has_name_alone, _named, _needs_nothing),
}
