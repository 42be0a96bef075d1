"""A person who has let an application act for them: what token, userinfo, introspection and revocation tests share."""

import base64
import json
import secrets
from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from idp.oauth import active_clients, authorizations, refresh_tokens
from idp.oauth.authorizations import Decision
from idp.platform import clock, database
from idp.platform.settings import settings
from idp.sessions import browsers, people
from idp.sessions.proofs import Proof
from idp.users import users
from idp.users.users import UserSettings
from tests.oauth import minting
from tests.oauth.actors import RelyingParty
from tests.traces import OPERATOR


@dataclass(frozen=True)
class Held:
    """What an application holds of a person who signed in and agreed: see `hold`."""

    client: RelyingParty
    user_id: str
    session_id: str
    authorization_id: str
    refresh_token: str

    def access_token(self, **changed: Any) -> str:
        """An access token that hangs on the authorization, for userinfo unless `changed` says otherwise."""
        said = {
            "sub": self.user_id,
            "client_id": self.client.id,
            "aud": settings().issuer,
            "scope": "openid profile",
            "sid": self.session_id,
            "jti": f"{self.authorization_id}.{secrets.token_urlsafe(6)}",
            **changed,
        }
        return minting.access_token(**said)


def hold(client: RelyingParty, username: str = "olivia", *, offline: bool = False, **claims: str) -> Held:
    """Let `client` act for a new person, who signed in in a browser of their own."""
    with database.writing():
        user_id = users.create(UserSettings(username, claims), by=OPERATOR).id
        browser, _ = browsers.begin()
        session, _ = people.open_session(browser, user_id, [Proof("password", clock.now())])
        authorization_id = authorizations.begin(decision(client.id, user_id, session.id, offline=offline))
        live, known = authorizations.find_live(authorization_id), active_clients.find(client.id)
        assert live
        assert known
        return Held(client, user_id, session.id, authorization_id, refresh_tokens.begin(live, known))


def decision(client_id: str, user_id: str, session_id: str, *, offline: bool) -> Decision:
    """A decision for `openid profile`, without a context."""
    return Decision(
        client_id=client_id,
        user_id=user_id,
        session_id=session_id,
        subject=user_id,
        scope=("openid", "profile"),
        resources=(),
        organization_id=None,
        account_id=None,
        claims_json="{}",
        auth_time=clock.now(),
        acr="aal1",
        amr=("pwd",),
        proofs=(Proof("password", clock.now()),),
        offline=offline,
        lifetime=clock.DAY,
    )


def ask(app: Flask, path: str, client: RelyingParty | None = None, **form: str) -> TestResponse:
    """What an endpoint says to a form of `client` (with its secret if it has one), or of nobody."""
    headers = {}
    if client is not None and client.secret:
        credentials = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    elif client is not None:
        form = {"client_id": client.id, **form}
    return app.test_client().post(path, data=form, headers=headers)


def said(answer: TestResponse) -> dict[str, Any]:
    """The JSON object that was answered."""
    body: dict[str, Any] = json.loads(answer.text)
    return body
