"""Where Ledger and its neighbours are, and who it is to them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Person:
    """Somebody of a demo, and what makes them worth trying."""

    username: str
    name: str
    words: str


@dataclass(frozen=True)
class Settings:
    """Addresses are origins, without a slash at the end.

    `address`: of Ledger itself. `issuer`: the provider. `payments`: the API that it calls, which is also the audience
    of its tokens. `client_id` and `client_secret`: as the provider's operator registered it. `people`: who may be tried
    in a demo, with their `password`; otherwise empty.
    """

    address: str
    issuer: str
    payments: str
    client_id: str
    client_secret: str
    people: tuple[Person, ...] = ()
    password: str = ""


def from_environment(variables: Mapping[str, str]) -> Settings:
    """What `LEDGER_ADDRESS` and the like say; otherwise all is as in the demo. Raises `KeyError` without a secret."""
    return Settings(
        address=variables.get("LEDGER_ADDRESS", "http://localhost:8001"),
        issuer=variables.get("LEDGER_ISSUER", "http://localhost:8000"),
        payments=variables.get("LEDGER_PAYMENTS", "http://localhost:8002"),
        client_id=variables.get("LEDGER_CLIENT_ID", "app_ledger"),
        client_secret=variables["LEDGER_CLIENT_SECRET"],
        people=tuple(Person(**one) for one in json.loads(variables.get("LEDGER_PEOPLE", "[]"))),
        password=variables.get("LEDGER_PASSWORD", ""),
    )
