"""The authorization request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1): what it says, and what it must satisfy.

First whom it is from and where its answer goes (`client_of`): what is wrong there is shown to the person, on our own
page. Then everything else (`parse`, `check`): what is wrong there is sent back to the client.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from idp.audit import trail
from idp.audit.trail import SYSTEM
from idp.clients import metadata
from idp.clients.registered import RegisteredClient
from idp.oauth import active_clients, claims_request, redirect_addresses
from idp.oauth.claims_request import NO_CLAIMS, ClaimsRequest
from idp.oauth.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from idp.oauth.responses import FORM_POST, MODES, QUERY, Destination
from idp.platform import forms
from idp.platform.forms import MAY_REPEAT, Fields
from idp.platform.settings import settings

PROMPTS: Final = ("none", "login", "consent", "select_account", "select_context")
"""The values of `prompt`; the last is ours (OpenID Connect Core §3.1.2.1)."""

DISPLAYS: Final = ("page", "popup", "touch", "wap")
"""The values of `display`. Every page of ours is fit for each: they suit any width and pointer, and need no script."""

LIMITS: Final = {
    "response_type": 100,
    "client_id": 128,
    "redirect_uri": 2_100,
    "response_mode": 100,
    "scope": 4_000,
    "state": 4_000,
    "nonce": 1_000,
    "code_challenge": 128,
    "code_challenge_method": 100,
    "prompt": 200,
    "max_age": 20,
    "acr_values": 1_000,
    "login_hint": 1_000,
    "id_token_hint": 8_000,
    "ui_locales": 1_000,
    "claims_locales": 1_000,
    "display": 100,
    "claims": 8_000,
    "resource": 2_000,
    "organization": 128,
    "account": 128,
    "request": 16_000,
    "request_uri": 2_000,
}
"""The parameters that are read, each with the bytes that its value may have, looked at before anything is read in it.
Every other parameter is ignored (RFC 6749 §3.1)."""

MOST_RESOURCES: Final = 20

_NOTHING: Final = dict.fromkeys(LIMITS, "")

_LONGEST_AGE: Final = 10**10
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21\x22\x24-\x7e]+")


@dataclass(frozen=True)
class AuthorizeRequest:
    """An authorization request, read once. What was not sent, or sent empty (RFC 6749 §3.1), is empty here.

    `scope`, `acr_values`, `ui_locales`, `claims_locales`: in the order sent. `max_age`: seconds. `id_token_hint`: as it
    was sent, unread. `resources`: absolute URIs (RFC 8707). `organization`, `account`: ids of the context asked for.
    """

    client_id: str
    redirect_uri: str
    response_type: str = ""
    response_mode: str = QUERY
    scope: tuple[str, ...] = ()
    state: str = ""
    nonce: str = ""
    code_challenge: str = ""
    code_challenge_method: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    login_hint: str = ""
    id_token_hint: str = ""
    ui_locales: tuple[str, ...] = ()
    claims_locales: tuple[str, ...] = ()
    display: str = ""
    claims: ClaimsRequest = NO_CLAIMS
    resources: tuple[str, ...] = ()
    organization: str = ""
    account: str = ""
    request: str = ""
    request_uri: str = ""

    @property
    def is_openid(self) -> bool:
        """Whether it is a request of OpenID Connect, and not of OAuth alone."""
        return "openid" in self.scope

    @property
    def destination(self) -> Destination:
        """Where its answer goes."""
        return Destination(self.redirect_uri, self.response_mode, self.state)

    def dump(self) -> str:
        """The text under which this is stored."""
        return json.dumps(asdict(self) | {"prompt": sorted(self.prompt), "claims": self.claims.dump()})

    @classmethod
    def load(cls, stored: str) -> "AuthorizeRequest":
        """What was stored as `stored`."""
        values: dict[str, Any] = json.loads(stored)
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        claims = ClaimsRequest.load(values["claims"])
        return cls(**values | lists | {"prompt": frozenset(values["prompt"]), "claims": claims})


def sent(*encoded: bytes) -> Fields:
    """What was sent in the query and the body, repeated names and all: only who knows the client can refuse those.

    Raises `Malformed` or `TooLarge` for what is no form.
    """
    return Fields(tuple(pair for part in encoded for pair in forms.decode(part)))


# Whom it is from, and where the answer goes


class UnknownClient(InvalidRequest):
    """The client is unknown, disabled or deleted: they cannot be told apart (AUZ-02)."""

    code = "unknown_client"
    title = "The application that sent you here is not known"


class UnregisteredAddress(InvalidRequest):
    """The address is none of the client's: nobody is sent there (AUZ-01). `client_id`, `redirect_uri`: as sent."""

    code = "redirect_uri_mismatch"
    title = "The application that sent you here wants you back at an address that is not registered"

    def __init__(self, client_id: str, redirect_uri: str) -> None:
        super().__init__()
        self.client_id, self.redirect_uri = client_id, redirect_uri


def client_of(fields: Fields) -> RegisteredClient:
    """The client that asks, by a request whose `redirect_uri` is one of its own.

    Raises what is shown to the person, because there is nobody to send it back to: `InvalidRequest` with its
    subclasses, or `RequestNotSupported` where the address may stand in a request object.
    """
    client = active_clients.find(_one(fields, "client_id"))
    if client is None:
        raise UnknownClient
    redirect_uri = _one(fields, "redirect_uri")
    if not redirect_uri:
        _refuse_request_objects(fields.get("request") or "", fields.get("request_uri") or "")
        raise InvalidRequest("redirect_uri is missing")
    if not redirect_addresses.is_registered(redirect_uri, client):
        raise UnregisteredAddress(client.id, redirect_uri)
    if client.says("require_pushed_authorization_requests"):
        raise InvalidRequest("the client is registered to push its requests (RFC 9126)")
    return client


def reject(refusal: UnregisteredAddress) -> None:
    """Note that a request named an address that its client has not registered. Inside `database.writing()`."""
    named = {"redirect_uri": refusal.redirect_uri[:_LONGEST_NOTED]}
    trail.record("authorize.rejected", by=SYSTEM, subject=refusal.client_id, after=named)


_LONGEST_NOTED = 500


def destination_of(fields: Fields) -> Destination:
    """Where a refusal of the request goes, once `client_of` has let it pass: as far as it can be read."""
    mode, state = _sole(fields, "response_mode"), _sole(fields, "state")
    fits = len(state.encode()) <= LIMITS["state"]
    return Destination(_one(fields, "redirect_uri"), mode if mode in MODES else QUERY, state if fits else "")


def _one(fields: Fields, name: str) -> str:
    if len(fields.all(name)) > 1:
        raise InvalidRequest(f"{name} was sent twice")
    return fields.get(name) or ""


def _sole(fields: Fields, name: str) -> str:
    """The value of `name`; none where it was sent twice."""
    values = fields.all(name)
    return values[0] if len(values) == 1 else ""


# What it says


def parse(fields: Fields) -> AuthorizeRequest:
    """The request that `fields` spell. Raises `InvalidRequest`: for a parameter sent twice (AUZ-07; `resource` may be),
    one that is too long, and one that cannot be read.
    """
    _refuse_repeated(fields)
    _refuse_long(fields)
    values = _NOTHING | dict(fields.pairs)
    return AuthorizeRequest(
        client_id=values["client_id"],
        redirect_uri=values["redirect_uri"],
        response_type=values["response_type"],
        response_mode=values["response_mode"] or QUERY,
        scope=_words(values["scope"]),
        state=values["state"],
        nonce=values["nonce"],
        code_challenge=values["code_challenge"],
        code_challenge_method=values["code_challenge_method"],
        prompt=frozenset(_words(values["prompt"])),
        max_age=_seconds(values["max_age"]),
        acr_values=_words(values["acr_values"]),
        login_hint=values["login_hint"],
        id_token_hint=values["id_token_hint"],
        ui_locales=_words(values["ui_locales"]),
        claims_locales=_words(values["claims_locales"]),
        display=values["display"] if values["display"] in DISPLAYS else "",
        claims=claims_request.parse(values["claims"]),
        resources=tuple(dict.fromkeys(value for value in fields.all("resource") if value)),
        organization=values["organization"],
        account=values["account"],
        request=values["request"],
        request_uri=values["request_uri"],
    )


def _refuse_repeated(fields: Fields) -> None:
    seen: set[str] = set()
    for name, _ in fields.pairs:
        if name in seen and name not in MAY_REPEAT:
            raise InvalidRequest(f"{name} was sent twice" if name in LIMITS else "a parameter was sent twice")
        seen.add(name)


def _refuse_long(fields: Fields) -> None:
    for name, value in fields.pairs:
        if name in LIMITS and len(value.encode()) > LIMITS[name]:
            raise InvalidRequest(f"{name} is longer than {LIMITS[name]} bytes")
    if len(fields.all("resource")) > MOST_RESOURCES:
        raise InvalidRequest(f"resource was sent more than {MOST_RESOURCES} times")


def _words(value: str) -> tuple[str, ...]:
    """The words of a list that is separated by blanks, each once."""
    return tuple(dict.fromkeys(word for word in value.split(" ") if word))


def _seconds(value: str) -> int | None:
    if not value:
        return None
    if not (value.isascii() and value.isdecimal()):
        raise InvalidRequest("max_age must be a whole number of seconds")
    return min(int(value), _LONGEST_AGE)


# What it must satisfy


def request_objects_are_not_used(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """OpenID Connect Core §6.1, §6.2: what is not supported is refused; nothing is fetched (PAR-07)."""
    _refuse_request_objects(request.request, request.request_uri)


def nothing_has_to_be_signed(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """RFC 9101 §10.5: a client that is registered to sign its requests is not heard without a signature."""
    if client.says("require_signed_request_object"):
        raise InvalidRequest("the client is registered to sign its requests (RFC 9101)")


def response_type_is_code(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """RFC 9700 §2.1.2: tokens are handed out by the token endpoint alone (AUZ-10)."""
    if not request.response_type:
        raise InvalidRequest("response_type is missing")
    if request.response_type != "code":
        raise UnsupportedResponseType("response_type must be code")


def client_may_use_codes(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """RFC 6749 §4.1.2.1: the grant is registered for the client."""
    if metadata.CODE not in client.grant_types:
        raise UnauthorizedClient(f"the client is not registered for the grant {metadata.CODE}")


def response_mode_is_known(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """AUZ-11; a form can be posted to nothing but a web address."""
    if request.response_mode not in MODES:
        raise InvalidRequest(f"response_mode must be one of {', '.join(MODES)}")
    if request.response_mode == FORM_POST and not redirect_addresses.is_web(request.redirect_uri):
        raise InvalidRequest("response_mode form_post needs a web address as redirect_uri")


def scope_is_well_formed(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """RFC 6749 §3.3. Scopes that nobody knows are ignored (OpenID Connect Core §3.1.2.1)."""
    if not all(_SCOPE.fullmatch(scope) for scope in request.scope):
        raise InvalidScope("scope must be words of printable ASCII, separated by blanks")


def resources_are_absolute(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """RFC 8707 §2: absolute URIs without a fragment."""
    if not all(_ADDRESS.fullmatch(resource) for resource in request.resources):
        raise InvalidTarget("resource must be an absolute URI without a fragment")


def pkce_is_s256(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """RFC 9700 §2.1.1: every client proves possession of the code, but for those that PKC-01 excepts.

    A challenge that is sent counts whoever sends it; a method that is missing is not read as `plain` (PKC-02).
    """
    if not request.code_challenge and not request.code_challenge_method and _may_go_without_pkce(request, client):
        return
    if not request.code_challenge:
        raise InvalidRequest("code_challenge is missing")
    if request.code_challenge_method != "S256":
        raise InvalidRequest("code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(request.code_challenge):
        raise InvalidRequest("code_challenge must be 43 characters of base64url")


def prompts_are_known(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """OpenID Connect Core §3.1.2.1."""
    if not request.prompt <= frozenset(PROMPTS):
        raise InvalidRequest(f"prompt may contain {', '.join(PROMPTS)}")


def prompt_none_stands_alone(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """OpenID Connect Core §3.1.2.1: nobody can be asked and not be asked."""
    if "none" in request.prompt and len(request.prompt) > 1:
        raise InvalidRequest("prompt none must stand alone")


Rule = Callable[[AuthorizeRequest, RegisteredClient], None]

RULES: Final[tuple[Rule, ...]] = (
    request_objects_are_not_used,
    nothing_has_to_be_signed,
    response_type_is_code,
    client_may_use_codes,
    response_mode_is_known,
    scope_is_well_formed,
    resources_are_absolute,
    pkce_is_s256,
    prompts_are_known,
    prompt_none_stands_alone,
)
"""What every authorization request satisfies, however it came in, in the order it is looked at."""


def check(request: AuthorizeRequest, client: RegisteredClient) -> None:
    """Raise the first refusal among `RULES`: an `OAuthError` that is sent back to the client."""
    for rule in RULES:
        rule(request, client)


def _may_go_without_pkce(request: AuthorizeRequest, client: RegisteredClient) -> bool:
    """PKC-01: confidential clients in requests of OpenID Connect, if the operator or the registration excepts them."""
    if client.is_public or not request.is_openid or client.text("profile") == "fapi2":
        return False
    return settings().require_pkce == "public" or client.metadata.get("require_pkce") is False


def _refuse_request_objects(by_value: str, by_reference: str) -> None:
    if by_value:
        raise RequestNotSupported("request is not supported")
    if by_reference:
        raise RequestUriNotSupported("request_uri is not supported")
