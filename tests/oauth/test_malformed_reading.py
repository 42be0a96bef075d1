"""Whatever is sent to userinfo, introspection, revocation and logout is never a fault of ours."""

from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.oauth import minting
from tests.oauth.actors import relying_party
from tests.oauth.holding import Held, hold

NAMES = st.sampled_from(
    [
        "token",
        "token_type_hint",
        "access_token",
        "client_id",
        "client_secret",
        "client_assertion",
        "id_token_hint",
        "post_logout_redirect_uri",
        "state",
        "ui_locales",
        "x",
    ]
)
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["", " ", "a.b.c", "rt_x", "%", "%00", "%ff", "\ud800", "\n", "app_shop"]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "HTTP_AUTHORIZATION": st.sampled_from(
            ["Bearer", "Bearer ", "Bearer é", "bearer a b", "Basic !", "Basic Og==", "x"]
        )
        | st.text(st.characters(max_codepoint=255, blacklist_categories=["Cc"]), max_size=20),
        "HTTP_ORIGIN": st.sampled_from(["null", "https://evil.test", "é", "*"]),
        "CONTENT_TYPE": st.sampled_from(
            ["", "application/json", "application/x-www-form-urlencoded; charset=x", "é/;"]
        ),
        "HTTP_IF_NONE_MATCH": st.text(st.characters(max_codepoint=255, blacklist_categories=["Cc"]), max_size=9),
    },
)
METHODS = st.sampled_from(["GET", "POST", "OPTIONS", "HEAD", "PUT"])


@pytest.fixture
def held(app: Flask) -> Held:
    minting.make_keys()
    return hold(relying_party(app, "app_shop"))


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize(
    "path",
    ["/oauth2/userinfo", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/logout", "/.well-known/openid-configuration"],
)
def test_whatever_is_sent_is_never_a_fault_of_ours(app: Flask, held: Held, path: str) -> None:
    good = [held.access_token(), held.refresh_token]

    @settings(max_examples=1_000, deadline=None)
    @given(
        st.lists(st.tuples(NAMES, TEXTS | st.sampled_from(good)), max_size=5),
        st.binary(max_size=20),
        st.lists(st.tuples(NAMES, TEXTS), max_size=2),
        HEADERS,
        METHODS,
    )
    def try_it(
        pairs: list[tuple[str, str]], junk: bytes, query: list[tuple[str, str]], headers: dict[str, str], method: str
    ) -> None:
        body = urlencode(pairs, errors="surrogatepass").encode() + junk
        assert 200 <= status(app, path, method, body, urlencode(query, errors="surrogatepass"), headers) < 500

    try_it()


def status(app: Flask, path: str, method: str, body: bytes, query: str, headers: dict[str, str]) -> int:
    """The status of the answer to a request as a server would hand it over: headers as Latin-1, whatever they are."""
    builder = EnvironBuilder(path, base_url="http://localhost:8000", method=method, data=body, query_string=query)
    environ: dict[str, Any] = builder.get_environ() | {"CONTENT_TYPE": "application/x-www-form-urlencoded", **headers}
    _, line, _ = run_wsgi_app(app.wsgi_app, environ)
    return int(line[:3])
