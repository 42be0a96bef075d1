"""The money of each account, in memory: what was charged, refunded and paid out, and what is left."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Final

from examples.payments.orders import ChargeOrder, PayoutOrder, RefundOrder
from examples.payments.problems import Conflict, KeyReused, NotFound

MOST_KEYS: Final = 1_000
"""Idempotency keys that an account remembers; the oldest go first."""

MOST_MOVEMENTS: Final = 10_000
"""Charges, and payouts, that an account can have: they are in memory."""


@dataclass(frozen=True)
class Movement:
    """Money that moved: `amount`, in the smallest unit of `currency`, at `created`, in seconds since 1970.

    `created_by`: the subject of the token.
    """

    id: str
    amount: int
    currency: str
    created: int
    created_by: str
    livemode: bool


@dataclass(frozen=True)
class Charge(Movement):
    """Money that came in."""

    description: str
    amount_refunded: int = 0
    status: str = "succeeded"
    object: str = "charge"

    @property
    def left(self) -> int:
        """What was not given back."""
        return self.amount - self.amount_refunded


@dataclass(frozen=True)
class Refund(Movement):
    """Money of a charge that went back."""

    charge: str
    reason: str
    status: str = "succeeded"
    object: str = "refund"


@dataclass(frozen=True)
class Payout(Movement):
    """Money that goes to the bank."""

    description: str
    status: str = "pending"
    object: str = "payout"


@dataclass(frozen=True)
class Request:
    """What an idempotency key stands for: who sent what where. `digest`: of the body."""

    client_id: str
    path: str
    digest: bytes


class Ledger:
    """The money of one account, in one mode. To be used by several threads at once."""

    def __init__(self, *, livemode: bool) -> None:
        self._livemode = livemode
        self._charges: dict[str, Charge] = {}
        self._payouts: dict[str, Payout] = {}
        self._done: dict[tuple[str, str], tuple[Request, Movement]] = {}
        self._lock = threading.RLock()

    def balance(self) -> Mapping[str, int]:
        """What is left, by currency."""
        left: Counter[str] = Counter()
        with self._lock:
            for charge in self._charges.values():
                left[charge.currency] += charge.left
            for payout in self._payouts.values():
                left[payout.currency] -= payout.amount
        return dict(sorted(left.items()))

    def charges(self) -> Sequence[Charge]:
        """All charges, the latest first."""
        with self._lock:
            return list(reversed(self._charges.values()))

    def payouts(self) -> Sequence[Payout]:
        """All payouts, the latest first."""
        with self._lock:
            return list(reversed(self._payouts.values()))

    def charge(self, order: ChargeOrder, *, by: str, at: int = 0) -> Charge:
        """Take what is ordered; now, or in that second. Raises `Conflict` if the account is full."""
        with self._lock:
            _require_room(self._charges)
            stamp = (at or _now(), by, self._livemode)
            made = Charge(_id("ch"), order.amount, order.currency, *stamp, order.description)
            self._charges[made.id] = made
            return made

    def refund(self, order: RefundOrder, *, by: str, at: int = 0) -> Refund:
        """Give back what is ordered. Raises `NotFound`, and `Conflict` if less is left of the charge."""
        with self._lock:
            charge = self._charges.get(order.charge)
            if charge is None:
                raise NotFound("There is no such charge in this account.", parameter="charge")
            amount = charge.left if order.amount is None else order.amount
            if not 0 < amount <= charge.left:
                raise Conflict(f"Of this charge, {charge.left} is left to refund.", parameter="amount")
            self._charges[charge.id] = replace(charge, amount_refunded=charge.amount_refunded + amount)
            stamp = (at or _now(), by, self._livemode)
            return Refund(_id("re"), amount, charge.currency, *stamp, charge.id, order.reason)

    def pay_out(self, order: PayoutOrder, *, by: str, at: int = 0) -> Payout:
        """Send what is ordered to the bank. Raises `Conflict` if the balance is less, or the account is full."""
        with self._lock:
            _require_room(self._payouts)
            left = self.balance().get(order.currency, 0)
            if order.amount > left:
                raise Conflict(f"The balance in {order.currency} is {left}.", parameter="amount")
            stamp = (at or _now(), by, self._livemode)
            made = Payout(_id("po"), order.amount, order.currency, *stamp, order.description)
            self._payouts[made.id] = made
            return made

    def once(self, key: str, request: Request, act: Callable[[], Movement]) -> Movement:
        """What `act` gives; for a `key` that its client has sent before, what it gave then. An empty key is none.

        Raises `KeyReused` if the key stood before another request, and what `act` raises: then nothing is remembered.
        """
        if not key:
            return act()
        with self._lock:
            if (request.client_id, key) not in self._done:
                self._remember(key, request, act())
            earlier, movement = self._done[request.client_id, key]
            if earlier != request:
                raise KeyReused("This key stood before another request: use a new one.", parameter="Idempotency-Key")
            return movement

    def _remember(self, key: str, request: Request, movement: Movement) -> None:
        self._done[request.client_id, key] = (request, movement)
        if len(self._done) > MOST_KEYS:
            del self._done[next(iter(self._done))]


class Ledgers:
    """The ledgers of all accounts, made when they are first asked for. To be used by several threads at once.

    `opened`: makes the ledger of an account that has none yet, given its id and whether it is live.
    """

    def __init__(self, opened: Callable[[str, bool], Ledger]) -> None:
        self._opened = opened
        self._ledgers: dict[tuple[str, bool], Ledger] = {}
        self._lock = threading.Lock()

    def of(self, account_id: str, *, livemode: bool) -> Ledger:
        """The ledger of that account in that mode: what is live never meets what is not."""
        with self._lock:
            if (account_id, livemode) not in self._ledgers:
                self._ledgers[account_id, livemode] = self._opened(account_id, livemode)
            return self._ledgers[account_id, livemode]


def _require_room(movements: Sized) -> None:
    if len(movements) >= MOST_MOVEMENTS:
        raise Conflict("The account is full: start the API anew, it keeps nothing.")


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"


def _now() -> int:
    return int(time.time())
