"""What a caller asks for: the body of a request, read once into a frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from examples.payments.problems import Problem

MOST: Final = 99_999_999
"""The largest amount, in the smallest unit of its currency."""

CURRENCIES: Final = ("chf", "eur", "gbp", "usd")

_LONGEST = 200


@dataclass(frozen=True)
class ChargeOrder:
    """Take `amount`, in the smallest unit of `currency`, from somebody."""

    amount: int
    currency: str
    description: str


@dataclass(frozen=True)
class RefundOrder:
    """Give `amount` of a charge back; `None`: all that is left of it."""

    charge: str
    amount: int | None
    reason: str


@dataclass(frozen=True)
class PayoutOrder:
    """Send `amount` of the balance in `currency` to the bank."""

    amount: int
    currency: str
    description: str


def charge_order(body: object) -> ChargeOrder:
    """The charge that a JSON `body` asks for. Raises `Problem`."""
    members = _members(body, "amount", "currency", "description")
    return ChargeOrder(_amount(members), _currency(members), _text(members, "description"))


def refund_order(body: object) -> RefundOrder:
    """The refund that a JSON `body` asks for. Raises `Problem`."""
    members = _members(body, "charge", "amount", "reason")
    charge = _text(members, "charge")
    if not charge:
        raise Problem("Name the charge to refund, by its id.", parameter="charge")
    return RefundOrder(charge, _amount(members) if "amount" in members else None, _text(members, "reason"))


def payout_order(body: object) -> PayoutOrder:
    """The payout that a JSON `body` asks for. Raises `Problem`."""
    members = _members(body, "amount", "currency", "description")
    return PayoutOrder(_amount(members), _currency(members), _text(members, "description"))


def _members(body: object, *known: str) -> Mapping[str, object]:
    if not isinstance(body, dict):
        raise Problem("Send a JSON object.")
    unknown = sorted(body.keys() - set(known))
    if unknown:
        raise Problem(f"This is not known here; known are {', '.join(known)}.", parameter=unknown[0][:_LONGEST])
    return body


def _amount(members: Mapping[str, object]) -> int:
    amount = members.get("amount")
    if not isinstance(amount, int) or isinstance(amount, bool) or not 1 <= amount <= MOST:
        raise Problem(f"Send a whole number from 1 to {MOST}, e.g. 1999 for 19.99.", parameter="amount")
    return amount


def _currency(members: Mapping[str, object]) -> str:
    currency = members.get("currency")
    if not isinstance(currency, str) or currency not in CURRENCIES:
        raise Problem(f"Send one of {', '.join(CURRENCIES)}.", parameter="currency")
    return currency


def _text(members: Mapping[str, object], name: str) -> str:
    text = members.get(name, "")
    if not isinstance(text, str) or len(text) > _LONGEST or not text.isprintable():
        raise Problem(f"Send up to {_LONGEST} printable characters.", parameter=name)
    return text
