"""Answers of the authorization endpoint: what is sent back to the client, through the browser.

Whoever answers has made sure that the address is the client's (`authorize.client_of`). A redirect has no body, so that
no code stands in a page; but for that of `form_post`, which is made of nothing else.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from idp.oauth import redirect_addresses
from idp.oauth.errors import OAuthError
from idp.platform import pages, security_headers
from idp.platform.calls import TEXT, Answer
from idp.platform.settings import settings

QUERY = "query"
FORM_POST = "form_post"
MODES = (QUERY, FORM_POST)
"""The values of `response_mode`; the first where none is asked for (OAuth 2.0 Multiple Response Types §2.1)."""


@dataclass(frozen=True)
class Destination:
    """Where an answer goes. `mode`: one of `MODES`; `state`: returned unchanged, empty where none was sent."""

    redirect_uri: str
    mode: str = QUERY
    state: str = ""


def answer(destination: Destination, parameters: Mapping[str, str]) -> Answer:
    """`parameters` on their way to the client, with `state` and `iss` (RFC 6749 §4.1.2, RFC 9207 §2)."""
    state = {"state": destination.state} if destination.state else {}
    said = {**parameters, **state, "iss": settings().issuer}
    if destination.mode == FORM_POST and redirect_addresses.is_web(destination.redirect_uri):
        return _form(destination.redirect_uri, said)
    return Answer(303, b"", TEXT, (("Location", with_query(destination.redirect_uri, said)),))


def refuse(destination: Destination, refusal: OAuthError) -> Answer:
    """`refusal` on its way to the client (RFC 6749 §4.1.2.1)."""
    return answer(destination, refusal.body())


def with_query(uri: str, parameters: Mapping[str, str]) -> str:
    """`uri`, whose own query stays as it is (RFC 6749 §3.1.2)."""
    joined = "" if uri.endswith(("?", "&")) else "&" if "?" in uri else "?"
    return f"{uri}{joined}{urlencode(parameters, quote_via=quote, safe='')}"


def _form(uri: str, parameters: Mapping[str, str]) -> Answer:
    """A page that posts itself (OAuth 2.0 Form Post Response Mode §2); without scripts, by a button."""
    nonce = secrets.token_urlsafe(16)
    policy = security_headers.content_security_policy((redirect_addresses.source(uri),), nonce=nonce)
    page = pages.page("oauth/form_post.html", address=uri, parameters=parameters, nonce=nonce)
    return page.with_headers(("Content-Security-Policy", policy))
