"""What the accounts of `config/demo.yaml` have when the API starts. Others begin empty."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from examples.payments.ledgers import Ledger
from examples.payments.orders import ChargeOrder, PayoutOrder, RefundOrder

_DAY = 86_400
_BEFORE = "seed"


@dataclass(frozen=True)
class Past:
    """What happened in one currency, the earliest first: charges of so much for something; `refunded` of the first of
    them, and `paid_out` of all.
    """

    currency: str
    charges: tuple[tuple[int, str], ...]
    refunded: int
    paid_out: int


PASTS: Final[Mapping[str, Past]] = {
    "acct_northwind_eu": Past(
        "eur",
        (
            (24_900, "Garden bench, oak"),
            (8_950, "Raised bed"),
            (1_999, "Watering can"),
            (45_000, "Greenhouse, deposit"),
        ),
        refunded=4_900,
        paid_out=30_000,
    ),
    "acct_northwind_fr": Past(
        "eur",
        ((6_400, "Olive tree"), (3_250, "Lavender, twelve pots"), (11_900, "Parasol")),
        refunded=0,
        paid_out=9_000,
    ),
    "acct_northwind_us": Past(
        "usd",
        ((31_900, "Patio set"), (5_499, "Bird bath"), (2_750, "Seeds, spring box"), (89_000, "Pergola, deposit")),
        refunded=31_900,
        paid_out=50_000,
    ),
    "acct_northwind_sandbox": Past(
        "eur", ((1_000, "Test charge"), (2_000, "Test charge"), (3_000, "Test charge")), refunded=500, paid_out=1_000
    ),
    "acct_fabrikam": Past("usd", ((120_000, "Loom, used"), (4_200, "Linen, 3 yards")), refunded=0, paid_out=100_000),
}


def ledger(account_id: str, livemode: bool) -> Ledger:
    """The ledger of an account as the API starts: what came in was charged a day apart, the last one yesterday."""
    made = Ledger(livemode=livemode)
    past = PASTS.get(account_id)
    if past is not None:
        _repeat(past, made, int(time.time()) - len(past.charges) * _DAY)
    return made


def _repeat(past: Past, made: Ledger, begin: int) -> None:
    charges = [
        made.charge(ChargeOrder(amount, past.currency, description), by=_BEFORE, at=begin + number * _DAY)
        for number, (amount, description) in enumerate(past.charges)
    ]
    if past.refunded:
        made.refund(RefundOrder(charges[0].id, past.refunded, "requested_by_customer"), by=_BEFORE)
    made.pay_out(PayoutOrder(past.paid_out, past.currency, "Weekly payout"), by=_BEFORE, at=begin + _DAY * 2)
