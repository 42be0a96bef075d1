"""The provider as Ledger speaks to it: Authlib for signing in and out, and three requests of plain HTTP."""

from collections.abc import Mapping
from typing import Any, Final

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, session
from werkzeug.wrappers import Response

from examples.dashboard import places
from examples.dashboard.asking import TIMEOUT, ask
from examples.dashboard.places import Place
from examples.dashboard.settings import Settings
from examples.dashboard.tokens import Json, Tokens, read

SCOPE: Final = "openid profile roles accounts payments"
"""Who it is, where they may work and as what, and their payments."""

_PENDING = 2
_MOST_PLACES = 200


class Refused(Exception):
    """The provider said no to a refresh. `error` and `detail` are its own words (RFC 6749 §5.2).

    `proof`: what to send to the authorization endpoint where it asks for more proof (RFC 9470).
    """

    def __init__(self, body: Mapping[str, Json]) -> None:
        self.error, self.detail = str(body.get("error", "")), str(body.get("error_detail", ""))
        self.proof = {name: str(body[name]) for name in ("acr_values", "max_age") if name in body}
        super().__init__(f"{self.error} {self.detail}")

    @property
    def context_is_lost(self) -> bool:
        """Whether nothing is left for the person in this place; the refresh token is good for others."""
        return self.detail == "context_lost"

    @property
    def wants_proof(self) -> bool:
        """Whether the person may go on after proving more."""
        return self.error == "insufficient_user_authentication"

    @property
    def is_elsewhere(self) -> bool:
        """Whether the place is out of reach for a refresh: the person has to be asked."""
        return self.error == "invalid_target"


class Provider:
    """The one that `settings` names, for the application `app`."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._settings = settings
        self._client: Any = OAuth(app).register(
            "canopy",
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            server_metadata_url=f"{settings.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": SCOPE,
                "code_challenge_method": "S256",
                "default_timeout": TIMEOUT,
                "trust_env": False,  # see `asking`
            },
        )

    def send_there(self, **wishes: str) -> Response:
        """The browser to the authorization endpoint. `wishes`: parameters, like `account` or `prompt`."""
        _forget_abandoned()
        callback = f"{self._settings.address}/callback"
        response: Response = self._client.authorize_redirect(callback, resource=self._settings.payments, **wishes)
        return response

    def take_back(self) -> Tokens:
        """The tokens for the code that the browser came back with; state, nonce and PKCE are checked by Authlib.

        Raises Authlib's `OAuthError`, with the provider's words.
        """
        told = self._client.authorize_access_token()
        return Tokens(told["access_token"], told["refresh_token"], told["id_token"])

    def about(self, tokens: Tokens) -> Mapping[str, Json]:
        """Who it is (OpenID Connect Core §5.3).

        Raises Authlib's `OAuthError` where the answer is about anybody but whom the ID token names (§5.3.2).
        """
        claims: Mapping[str, Json] = self._client.userinfo(
            token={"access_token": tokens.access, "token_type": "Bearer"}
        )
        if claims.get("sub") != read(tokens.identity).get("sub"):
            raise OAuthError("invalid_userinfo", "what it told was about somebody else")
        return claims

    def refreshed(self, tokens: Tokens, **where: str) -> Tokens:
        """New tokens for the same place, or for the `organization` or `account` named. Raises `Refused`."""
        wanted = {"grant_type": "refresh_token", "refresh_token": tokens.refresh, **where}
        answer = self._ask("token_endpoint", data=wanted)
        if "access_token" not in answer:
            raise Refused(answer)
        refresh = str(answer.get("refresh_token", tokens.refresh))
        return Tokens(str(answer["access_token"]), refresh, tokens.identity)

    def places(self, tokens: Tokens) -> tuple[Place, ...]:
        """Where the person may work: the first 200 places. None while nobody answers: they are for choosing alone."""
        try:
            answer = ask(
                "GET",
                f"{self._settings.issuer}/oauth2/accounts",
                params={"limit": _MOST_PLACES},
                headers={"Authorization": f"Bearer {tokens.access}"},
            )
            return places.listed(answer.json()) if answer.ok else ()
        except requests.RequestException:
            return ()

    def sign_out(self, tokens: Tokens) -> Response:
        """The browser to the provider, which ends the session and with it every token, and sends it back."""
        response: Response = self._client.logout_redirect(
            post_logout_redirect_uri=f"{self._settings.address}/signed-out", id_token_hint=tokens.identity
        )
        return response

    def _ask(self, endpoint: str, data: Mapping[str, str]) -> Mapping[str, Json]:
        address = self._client.load_server_metadata()[endpoint]
        who = (self._settings.client_id, self._settings.client_secret)
        answer = ask("POST", address, data=data, auth=who)
        if answer.status_code >= 500:
            answer.raise_for_status()
        body: Mapping[str, Json] = answer.json()
        return body


def _forget_abandoned() -> None:
    """Authlib keeps what each sign-in needs in the cookie; of those never finished only the latest fit."""
    pending = sorted((name for name in session if name.startswith("_state_")), key=lambda name: session[name]["exp"])
    for name in pending[:-_PENDING]:
        del session[name]
