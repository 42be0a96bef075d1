"""The other ends of the wire of OAuth: relying parties, and a browser that brings their answers to them."""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Flask
from werkzeug.test import TestResponse

from idp.clients import clients
from idp.clients import secrets as client_secrets
from idp.clients.clients import ClientContext, ClientSettings
from idp.clients.models import OPERATOR as HOUSE
from idp.platform import database
from tests import actors
from tests.actors import GOOD, Page
from tests.traces import OPERATOR

CALLBACK = "https://shop.example.com/cb"
CONTEXTLESS = ClientContext()


class Browser(actors.Browser):
    """A browser whose way may end at a relying party: what is sent there is the answer that it brings."""

    def sign_in(self, username: str, password: str = GOOD, path: str = "/login") -> Page:
        """Sign in as somebody, from `path` on, whichever of the pages comes first."""
        page = self.get(path)
        if page.name == "login":
            page = self.send(page, "username", username=username)
        assert page.name == "password", page.text
        return self.send(page, "password", password=password)

    def allow(self, page: Page, **values: Any) -> Page:
        """Agree to what the consent page shows, as it is but for its boxes: none of them is ticked."""
        assert page.name == "consent", page.text
        return self.send(page, "consent-allow", **{"decision": "allow"} | values)

    def allow_all(self, page: Page) -> Page:
        """Agree to what the consent page shows, with whatever is ticked on it."""
        inputs = page.form("consent-allow").inputs
        return self.allow(page, scope=[one["value"] for one in inputs if one.get("name") == "scope"])

    def deny(self, page: Page) -> Page:
        """Say no on the consent page."""
        return self.send(page, "consent-deny", decision="deny")

    def _follow(self, response: TestResponse) -> Page:
        for _ in range(8):
            if response.status_code not in (302, 303) or self._is_foreign(response.location):
                return Page(response)
            response = self._ask("GET", response.location)
        raise AssertionError(f"redirected in a circle, at last to {response.location}")

    def _is_foreign(self, location: str) -> bool:
        config = self.client.application.config
        home = f"{config['PREFERRED_URL_SCHEME']}://{config['SERVER_NAME']}/"
        return bool(urlsplit(location).scheme) and not location.startswith(home)


@dataclass
class RelyingParty:
    """An application: it sends people to `authorize_url` and redeems what comes back."""

    app: Flask
    id: str
    secret: str = ""
    redirect_uri: str = CALLBACK
    verifiers: dict[str, str] = field(default_factory=dict)

    def authorize_url(self, *, verifier: str = "", **parameters: str | None) -> str:
        """Path and query of an authorization request with PKCE; `None` leaves a parameter out."""
        verifier = verifier or secrets.token_urlsafe(48)
        state = parameters.get("state", secrets.token_urlsafe(8))
        self.verifiers[state or ""] = verifier
        asked = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": state,
            "nonce": "n-1",
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
            **parameters,
        }
        return f"/oauth2/authorize?{urlencode({name: value for name, value in asked.items() if value is not None})}"

    def redeem(self, page: Page, **parameters: str) -> dict[str, Any]:
        """The token response for the code that the browser brought. Fails when there is none."""
        answer = self.token(
            grant_type="authorization_code",
            code=answer_in(page)["code"],
            redirect_uri=self.redirect_uri,
            code_verifier=self.verifiers[answer_in(page).get("state", "")],
            **parameters,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def token(self, **parameters: str) -> TestResponse:
        """What the token endpoint says to a request of this client."""
        own = {} if self.secret else {"client_id": self.id}
        return self.app.test_client().post("/oauth2/token", data=own | parameters, headers=self._authorization())

    def _authorization(self) -> dict[str, str]:
        if not self.secret:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()}


def relying_party(
    app: Flask,
    client_id: str = "",
    *,
    public: bool = False,
    owner: str = HOUSE,
    context: ClientContext = CONTEXTLESS,
    enabled_for: frozenset[str] | None = None,
    first_party: bool = False,
    **metadata: Any,
) -> RelyingParty:
    """Register an application, the operator's if nobody else is its `owner`; of confidential ones with a secret."""
    registered = {
        "redirect_uris": [CALLBACK],
        "client_name": "Shop",
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none" if public else "client_secret_basic",
        **metadata,
    }
    with database.writing():
        wanted = ClientSettings(registered, context, enabled_for, first_party)
        client = clients.create(wanted, by=OPERATOR, owner=owner, id=client_id)
        has_secret = registered["token_endpoint_auth_method"] == "client_secret_basic"
        secret = client_secrets.add(client, by=OPERATOR).secret if has_secret else ""
        return RelyingParty(app, client.id, secret, str(registered["redirect_uris"][0]))


def answer_in(page: Page) -> dict[str, str]:
    """What the authorization endpoint answered: the query of the redirect, or the fields of the form that is posted."""
    location = page.response.headers.get("Location")
    if location is None:
        (form,) = page.forms
        return form.fields
    return dict(parse_qsl(urlsplit(location).query, keep_blank_values=True))


def challenge(verifier: str) -> str:
    """The `S256` challenge of a verifier (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    """What a JWT says, unverified."""
    payload = token.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return said
