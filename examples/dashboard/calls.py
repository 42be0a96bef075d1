"""The calls that Ledger tries at the payments API with somebody's token, and what came of each."""

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import requests

from examples.dashboard.asking import ask
from examples.dashboard.tokens import Json

ACCOUNT_HEADER: Final = "Canopy-Account"
"""Names the account concerned, where the token is for a whole organization."""

_ASKED_FOR = re.compile(r'(\w+)="([^"]*)"')


class Outcome(enum.Enum):
    """What an answer means for whoever called."""

    ALLOWED = enum.auto()
    DENIED = enum.auto()
    TOKEN_REFUSED = enum.auto()
    """The token does not stand any more: something was taken away since. Another one may or may not be allowed."""
    WANTS_PROOF = enum.auto()
    """The person has to prove more, or again (RFC 9470)."""
    UNSURE = enum.auto()
    """The API did not answer, or could not say."""


@dataclass(frozen=True)
class Call:
    """A request to the API: what it `needs` there, and what is sent.

    `account`: named in the header, if any. `elsewhere`: the token is known not to be for that one.
    """

    method: str
    path: str
    needs: str
    body: Mapping[str, str | int] | None = None
    account: str = ""
    elsewhere: bool = False

    @property
    def name(self) -> str:
        """Tells it apart from the others, in words."""
        return " ".join(filter(None, (self.method, self.path, self.account)))


@dataclass(frozen=True)
class Tried:
    """A call and its answer. `status` is 0 where there was none; `asked_for`: what RFC 9470 says is to be proved."""

    call: Call
    status: int = 0
    body: Mapping[str, Json] = field(default_factory=dict)
    asked_for: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """What the answer means. What the API could not do for an allowed caller (404, 409, …) was still allowed."""
        error = self.body.get("error")
        if self.status == 0 or self.status == 429 or self.status >= 500:
            return Outcome.UNSURE
        if self.status == 401:
            proof = error == "insufficient_user_authentication"
            return Outcome.WANTS_PROOF if proof else Outcome.TOKEN_REFUSED
        return Outcome.DENIED if self.status == 403 else Outcome.ALLOWED

    @property
    def reason(self) -> str:
        """The API's own words, for what is not allowed."""
        return str(self.body.get("error_description", ""))

    def entries(self, name: str) -> Sequence[Mapping[str, Json]]:
        """The objects in the list `name` of the answer."""
        listed = self.body.get(name)
        return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


@dataclass(frozen=True)
class Api:
    """The API at `address`, called with `token`.

    `account`: named in the header of each call; empty where the token is for one account. `number`: begins every
    idempotency key, so that whoever looks again moves no money again.
    """

    address: str
    token: str
    account: str
    number: str

    def try_all(self, other: str = "") -> tuple[Tried, ...]:
        """Every call once. `other`: an account that the token is not for, to show what comes of naming it."""
        balance = self.attempt("GET", "/balance", "balance.read")
        currency = _currency(balance)
        charged = self.attempt("POST", "/charges", "payments.write", {"amount": 4200, "currency": currency})
        payments = self.attempt("GET", "/payments", "payments.read")
        return (
            balance,
            payments,
            charged,
            self.attempt("POST", "/refunds", "refunds.write", {"charge": _charge(payments), "amount": 100}),
            self.attempt("GET", "/payouts", "payouts.read"),
            self.attempt("POST", "/payouts", "payouts.write", {"amount": 100, "currency": currency}),
            *([self.attempt("GET", "/balance", "balance.read", elsewhere=other)] if other else []),
        )

    def attempt(
        self, method: str, path: str, needs: str, body: Mapping[str, str | int] | None = None, elsewhere: str = ""
    ) -> Tried:
        """One call and its answer. `elsewhere`: an account that the token is not for."""
        call = Call(method, path, needs, body, elsewhere or self.account, bool(elsewhere))
        headers = {"Authorization": f"Bearer {self.token}"} | ({ACCOUNT_HEADER: call.account} if call.account else {})
        if body is not None:
            headers["Idempotency-Key"] = "-".join((self.number, call.name, *map(str, body.values()))).replace(" ", "-")
        try:
            answer = ask(method, self.address + path, json=body, headers=headers)
        except requests.RequestException:
            return Tried(call)
        challenge = dict(_ASKED_FOR.findall(answer.headers.get("WWW-Authenticate", "")))
        asked_for = {name: challenge[name] for name in ("acr_values", "max_age") if name in challenge}
        return Tried(call, answer.status_code, _object(answer), asked_for)


def _currency(balance: Tried) -> str:
    available = balance.entries("available")
    return str(available[0]["currency"]) if available else "eur"


def _charge(payments: Tried) -> str:
    """Some charge to refund. Who may not see any asks for one that is none, and is allowed or denied all the same."""
    listed = payments.entries("data")
    return str(listed[-1]["id"]) if listed else "ch_none"


def _object(answer: requests.Response) -> Mapping[str, Json]:
    try:
        value: Json = answer.json()
    except requests.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
