"""Requests for authorization, and the three ways in which they are answered: shown, sent back, posted back."""

from urllib.parse import parse_qsl, urlencode

from werkzeug.test import TestResponse

from tests.actors import Page
from tests.oauth.actors import CALLBACK, RelyingParty

ISSUER = "http://localhost:8000"
PATH = "/oauth2/authorize"


def ask(party: RelyingParty, *more: tuple[str, str], **changed: str | None) -> TestResponse:
    """What the endpoint answers to the party's good request with something `changed`, and `more` after it."""
    address = party.authorize_url(**changed) + "".join(f"&{urlencode([pair])}" for pair in more)
    return party.app.test_client().get(address)


def is_shown(response: TestResponse, code: str) -> None:
    """It is a page of our own that leads nowhere."""
    assert response.status_code == 400
    assert "Location" not in response.headers
    assert response.content_type == "text/html; charset=utf-8"
    assert f'data-error="{code}"' in response.text


def sent_back(response: TestResponse, to: str = CALLBACK) -> dict[str, str]:
    """What the client is told, by a redirect to its address."""
    assert (response.status_code, response.text) == (303, "")
    address, _, query = response.headers["Location"].partition("?")
    assert address == to
    return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict"))


def posted(response: TestResponse, to: str = CALLBACK) -> dict[str, str]:
    """What the client is told, by a page whose form is posted to its address."""
    assert response.status_code == 200
    assert "Location" not in response.headers
    (form,) = Page(response).forms
    assert (form.method, form.action) == ("post", to)
    return form.fields
