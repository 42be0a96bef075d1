"""The requests that are most of what a provider does all day, as acts of clients and browsers."""

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks import load, world
from benchmarks.load import Act
from benchmarks.wire import Browser, Reply, Steps, Unexpected, basic, get, post

TOKEN: Final = "/oauth2/token"  # noqa: S105 a path
SHOP, ROBOT, SERVICE = (basic(client, world.SECRET) for client in (world.SHOP, world.ROBOT, world.SERVICE))
_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
_CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(_VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Tokens:
    """What an application holds of a person."""

    access: str
    refresh: str


class Person:
    """Somebody with a browser, at the provider on `port`; signs in with the first request that asks for it."""

    def __init__(
        self, port: int, name: str, *, organization: str = world.SMALL, resource: str = world.PAYMENTS
    ) -> None:
        self._port, self._name = port, name
        self._browser = Browser()
        self._asked = {
            "response_type": "code",
            "client_id": world.SHOP,
            "redirect_uri": world.CALLBACK,
            "scope": "openid",
            "state": "s",
            "nonce": "n",
            "code_challenge": _CHALLENGE,
            "code_challenge_method": "S256",
            "organization": organization,
            "account": "a0",
            "resource": resource,
        }
        self._resource = resource
        self.tokens = Tokens("", "")

    def sign_in(self) -> Steps:
        """Sign in, by name and password, in a new browser."""
        self._browser = Browser()
        page = yield from self._browser.visit("/login")
        page = yield from self._browser.send(page, "username", username=self._name)
        page = yield from self._browser.send(page, "password", password=world.PASSWORD)
        if page.status != 200 or b'id="login-submit"' in page.body:
            raise Unexpected(f"{page.status}: {page.body[:2000]!r}")

    def get_code(self) -> Generator[bytes, Reply, str]:
        """A code for the application, with the session that there is."""
        reply = yield from self._browser.visit(f"/oauth2/authorize?{urlencode(self._asked)}")
        answered = parse_qs(urlsplit(reply.location()).query)
        if "code" not in answered:
            raise Unexpected(str(answered))
        return answered["code"][0]

    def authorize(self) -> Steps:
        """A code for the application, and its tokens."""
        code = yield from self.get_code()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": world.CALLBACK,
            "code_verifier": _VERIFIER,
            "resource": self._resource,
        }
        self._keep((yield post(TOKEN, form, SHOP)))

    def refresh(self) -> Steps:
        """The next tokens of the chain."""
        form = {"grant_type": "refresh_token", "refresh_token": self.tokens.refresh, "resource": self._resource}
        self._keep((yield post(TOKEN, form, SHOP)))

    def ready(self) -> "Person":
        """The same, once signed in and with tokens."""
        load.once(self._port, self.sign_in())
        load.once(self._port, self.authorize())
        return self

    def _keep(self, reply: Reply) -> None:
        said = reply.json()
        self.tokens = Tokens(said["access_token"], said["refresh_token"])


Makes = Callable[[int], list[Act]]
"""For the provider on that port, one act for each of eight connections."""


def _people(port: int) -> list[Person]:
    return [Person(port, name).ready() for name in world.PEOPLE]


def _everywhere(request: bytes) -> list[Act]:
    """The same request on every connection."""

    def act() -> Steps:
        (yield request).json()

    return [act] * len(world.PEOPLE)


def _client_credentials(_: int) -> list[Act]:
    return _everywhere(post(TOKEN, {"grant_type": "client_credentials"}, ROBOT))


def _refresh(port: int) -> list[Act]:
    return [person.refresh for person in _people(port)]


def _code(port: int) -> list[Act]:
    return [person.authorize for person in _people(port)]


def _userinfo(port: int) -> list[Act]:
    token = _people(port)[0].tokens.access
    return _everywhere(get("/oauth2/userinfo", {"Authorization": f"Bearer {token}"}))


def _introspection(port: int) -> list[Act]:
    request = post("/oauth2/introspect", {"token": _people(port)[0].tokens.access}, SERVICE)

    def act() -> Steps:
        if (yield request).json()["active"] is not True:
            raise Unexpected("the token is not active")

    return [act] * len(world.PEOPLE)


def _discovery(_: int) -> list[Act]:
    return _everywhere(get("/.well-known/openid-configuration"))


def _feed(_: int) -> list[Act]:
    return [_poller(f"bench-{number}") for number in range(len(world.PEOPLE))]


def _poller(instance: str) -> Act:
    """Polls as a verifier does: the whole window first, then what is new."""
    since: dict[str, str] = {}

    def act() -> Steps:
        said = (yield get(f"/oauth2/changes?{urlencode({'instance': instance, **since})}", SERVICE)).json()
        since["since"] = str(said["head"])

    return act


def _password(port: int) -> list[Act]:
    names = itertools.cycle(world.PEOPLE)
    return [lambda: Person(port, next(names)).sign_in()] * len(world.PEOPLE)


@dataclass(frozen=True)
class Kind:
    """A kind of act. `title`: for readers. `requests`: of which one act consists."""

    title: str
    makes: Makes
    requests: int = 1


KINDS: Final[Mapping[str, Kind]] = {
    "client-credentials": Kind("client credentials", _client_credentials),
    "refresh": Kind("refresh", _refresh),
    "code": Kind("code flow, live session", _code, requests=2),
    "userinfo": Kind("userinfo", _userinfo),
    "introspection": Kind("introspection", _introspection),
    "discovery": Kind("discovery", _discovery),
    "feed": Kind("feed poll", _feed),
    "password": Kind("password sign-in", _password, requests=6),
}


def authorization_of(tokens: Tokens) -> str:
    """The id of the authorization that tokens hang on (the first part of `jti`)."""
    payload = tokens.access.split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(said["jti"]).partition(".")[0]
