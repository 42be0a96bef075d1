"""Decisions as the consent page writes them down, without a browser: a person, a session, and codes for a client."""

from dataclasses import dataclass
from typing import Any

from flask import Flask

from idp.oauth import authorizations, codes
from idp.oauth.authorizations import Decision
from idp.platform import clock, database
from idp.sessions import browsers, people
from idp.sessions.people import LiveSession
from idp.sessions.proofs import Proof
from idp.users import users
from idp.users.users import UserSettings
from tests.oauth import minting
from tests.oauth.actors import CALLBACK, RelyingParty, challenge, relying_party
from tests.traces import OPERATOR

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
"""The verifier of RFC 7636, Appendix B."""


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    id: str
    session: LiveSession


def somebody(username: str = "alice") -> Person:
    """A new person, as `signed_in`."""
    with database.writing():
        person = users.create(UserSettings(username), by=OPERATOR).id
    return signed_in(person)


def signed_in(user_id: str) -> Person:
    """Somebody there is, signed in in a browser of their own; and the keys that their tokens are signed with."""
    minting.make_keys()
    with database.writing():
        browser, _ = browsers.begin()
        return Person(user_id, people.open_session(browser, user_id, [Proof("password", clock.now())])[0])


def decide(person: Person, client_id: str, **changed: Any) -> str:
    """The id of an authorization for the client; `changed`: other fields of the decision."""
    decision = {
        "client_id": client_id,
        "user_id": person.id,
        "session_id": person.session.id,
        "subject": person.id,
        "scope": ("openid", "offline_access"),
        "resources": (),
        "organization_id": None,
        "account_id": None,
        "claims_json": "{}",
        "auth_time": person.session.authenticated_at,
        "acr": "aal1",
        "amr": ("pwd",),
        "proofs": person.session.proofs,
        "offline": True,
        "lifetime": 90 * clock.DAY,
        **changed,
    }
    with database.writing():
        return authorizations.begin(Decision(**decision))


def code_for(
    authorization_id: str,
    client_id: str,
    *,
    code_challenge: str | None = challenge(VERIFIER),
    nonce: str | None = "n-1",
) -> str:
    """A code for that authorization."""
    with database.writing():
        return codes.issue(authorization_id, client_id, CALLBACK, code_challenge, nonce)


def redemption(code: str, **changed: str | None) -> dict[str, str]:
    """The form by which a code is redeemed; `None` leaves a parameter out."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **changed,
    }
    return {name: value for name, value in form.items() if value is not None}


def shop(app: Flask, client_id: str = "shop", **metadata: Any) -> RelyingParty:
    """A confidential client that signs its ID tokens with the one kind of key that tests make."""
    return relying_party(app, client_id, id_token_signed_response_alg="ES256", **metadata)
