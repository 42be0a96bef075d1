"""A provider of the tests: it really listens, signs, and speaks to services as the change feed's page says."""

import base64
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

API = "https://payments.example.com"
CLIENT, SECRET = "app_payments", "secret:with/odd signs"
NOW = 1_795_363_200
"""What time it is, in seconds since 1970, as long as nobody moves the clock."""


@dataclass
class FakeClock:
    """A monotonic clock that goes where it is sent, and another one for the time of day."""

    seconds: float = 1_000.0
    wall: float = float(NOW)

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return self.wall

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Asked:
    """One request: its path, query and form, and who it said to be."""

    path: str
    query: dict[str, str]
    form: dict[str, str]
    authorization: str


@dataclass
class FakeProvider:
    """A node of the provider. What it knows is set from outside; what it was asked stands in `asked`."""

    head: int = 1_000
    floor: int = 1_000
    age_ms: int = 0
    page: int = 1_000
    entries: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    inactive: set[str] = field(default_factory=set)
    failing: dict[str, int] = field(default_factory=dict)
    """By path: the status that is answered instead."""
    asked: list[Asked] = field(default_factory=list)
    before: dict[str, Callable[[], None]] = field(default_factory=dict)
    """By path: what happens after a request arrived and its answer was made, before it is sent."""
    keys: dict[str, ECKey] = field(default_factory=lambda: {"k1": ECKey.generate_key("P-256")})
    issuer: str = ""
    numbers: int = 0
    server: ThreadingHTTPServer | None = None
    thread: threading.Thread | None = None

    # What happens at the provider

    def lose(self, **match: str) -> int:
        """Write an entry; its position."""
        self.head += 1
        self.entries.append((self.head, match))
        return self.head

    def token(self, kid: str = "k1", typ: str = "at+jwt", key: ECKey | None = None, **claims: Any) -> str:
        """An access token as of now; a claim that is `None` is left out."""
        self.numbers += 1
        said = {
            "iss": self.issuer,
            "sub": "usr_alice",
            "aud": API,
            "client_id": "app_shop",
            "iat": NOW,
            "exp": NOW + 300,
            "jti": f"az_1.{self.numbers}",
            "sid": "ses_1",
            "scope": "payments",
            "org_id": "org_a",
            "org_roles": ["view_only"],
            "roles": ["view_only"],
            "azv": self.head,
            "auth_time": NOW - 60,
            "acr": "aal1",
            "amr": ["pwd"],
            "livemode": True,
        } | claims
        header = {"alg": "ES256", "typ": typ, "kid": kid}
        return jwt.encode(header, {k: v for k, v in said.items() if v is not None}, key or self.keys[kid])

    def count(self, path: str) -> int:
        """How often `path` was asked for."""
        return sum(asked.path == path for asked in self.asked)

    # How it answers

    def answer(self, asked: Asked) -> tuple[int, Mapping[str, Any]]:
        if asked.path in self.failing:
            return self.failing[asked.path], {"error": "failing"}
        if asked.path == "/.well-known/jwks.json":
            return 200, {"keys": [self._public(kid, key) for kid, key in list(self.keys.items())]}
        if asked.authorization != "Basic " + base64.b64encode(b"app_payments:secret%3Awith%2Fodd+signs").decode():
            return 401, {"error": "invalid_client"}
        if asked.path == "/oauth2/introspect":
            return 200, {"active": asked.form["token"] not in self.inactive}
        if asked.path.startswith("/oauth2/accounts/"):
            record = self.accounts.get(asked.path.rsplit("/", 1)[1])
            return (404, {"error": "not_found"}) if record is None else (200, dict(record))
        return self._changes(asked.query)

    def _changes(self, query: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        since = int(query["since"]) if "since" in query else None
        if since is not None and not self.floor <= since <= self.head:
            return 410, {"error": "cursor_expired"}
        after = [entry for entry in self.entries if entry[0] > (self.floor if since is None else since)]
        listed = [{"p": p, "kind": "grant", "match": match} for p, match in after[: self.page]]
        said = {"head": self.head, "floor": self.floor, "age_ms": self.age_ms, "window_s": 420}
        return 200, {**said, "changes": listed, "more": len(after) > self.page}

    @staticmethod
    def _public(kid: str, key: ECKey) -> dict[str, Any]:
        return {**key.as_dict(private=False), "kid": kid, "alg": "ES256", "use": "sig"}

    # How it listens

    def start(self, port: int = 0) -> None:
        """Listen on `port` of localhost, or on a free one."""
        self.server = _Server(("127.0.0.1", port), _handler(self))
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> int:
        """Be gone, with all connections; the port."""
        if self.server is None or self.thread is None:
            return 0
        port = int(self.server.server_address[1])
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.server = None
        return port


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def _handler(provider: FakeProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _answer(self, form: bytes) -> None:
            parts = urlsplit(self.path)
            asked = Asked(parts.path, _first(parts.query), _first(form.decode()), self.headers.get("Authorization", ""))
            provider.asked.append(asked)
            status, body = provider.answer(asked)
            provider.before.get(asked.path, lambda: None)()
            if provider.server is None:
                self.close_connection = True
                return
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    return Handler


def _first(encoded: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(encoded, keep_blank_values=True).items()}
