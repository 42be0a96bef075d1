"""Authlib's integration for Flask, unmodified: an application that is told nothing but where the metadata is."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, session, url_for
from flask.typing import ResponseReturnValue

from tests.oauth.actors import CALLBACK, Browser, relying_party

BYE = "https://shop.example.com/bye"


@pytest.fixture
def application(listening: Flask, issuer: str) -> Flask:
    """A shop with a page to sign in, one to come back to, and both for signing out."""
    shop = relying_party(listening, post_logout_redirect_uris=[BYE])
    app = Flask("shop")
    app.secret_key = "of the shop"
    canopy = OAuth(app).register(
        "canopy",
        client_id=shop.id,
        client_secret=shop.secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email", "code_challenge_method": "S256"},
    )

    @app.get("/login")
    def login() -> Any:
        return canopy.authorize_redirect(CALLBACK)

    @app.get("/cb")
    def callback() -> ResponseReturnValue:
        tokens = canopy.authorize_access_token()
        session["id_token"] = tokens["id_token"]
        return {"id_token": tokens["userinfo"], "userinfo": canopy.userinfo(token=tokens)}

    @app.get("/logout")
    def logout() -> Any:
        return canopy.logout_redirect(post_logout_redirect_uri=BYE, id_token_hint=session["id_token"])

    @app.get("/bye")
    def bye() -> ResponseReturnValue:
        canopy.validate_logout_response()
        return url_for("login")

    return app


def of(location: str | None) -> str:
    """Path and query of an address, for whoever it leads to."""
    parts = urlsplit(location or "")
    return f"{parts.path}?{parts.query}"


def test_it_signs_somebody_in_and_out_by_what_it_discovers(application: Flask, person: Browser) -> None:
    shop = application.test_client()
    page = person.sign_in("olivia", path=of(shop.get("/login").location))
    told = shop.get(of(person.allow_all(page).response.location)).get_json()
    assert told["id_token"]["sub"] == told["userinfo"]["sub"]
    assert told["userinfo"]["email"] == "olivia@northwind.test"

    page = person.get(of(shop.get("/logout").location))
    assert page.response.location.startswith(f"{BYE}?state=")
    assert shop.get(of(page.response.location)).text == "/login"
    assert person.get("/me").name == "login"


def test_it_is_told_no_in_words_that_it_understands(application: Flask, person: Browser) -> None:
    shop = application.test_client()
    page = person.sign_in("olivia", path=of(shop.get("/login").location))
    location = person.deny(page).response.location
    application.testing = True
    with pytest.raises(OAuthError) as refused:
        shop.get(of(location))
    assert refused.value.error == "access_denied"
