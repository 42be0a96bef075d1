"""Whatever a stranger sends as credentials: it is read or refused, and never fails."""

import contextlib
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from idp.oauth import client_assertions, client_authentication
from idp.oauth.client_assertions import TYPE, BadAssertion
from idp.platform.calls import Call
from idp.platform.errors import Refusal
from tests.oauth.calls import posted, raw_basic
from tests.oauth.test_client_assertions import b64, claims, signed

NAMES = ("client_id", "client_secret", "client_assertion", "client_assertion_type", "grant_type")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HEADERS = (
    st.just("")
    | st.text(st.characters(max_codepoint=255), max_size=60)
    | st.binary(max_size=60).map(raw_basic)
    | TEXTS.map(lambda text: f"Basic {text}".encode().decode("latin-1"))
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=1_000)
@given(HEADERS, st.dictionaries(st.sampled_from(NAMES), TEXTS | st.just(TYPE)))
def test_any_header_and_form_is_read_or_refused(header: str, form: dict[str, str]) -> None:
    said = _read(posted(form, authorization=header))
    assert said in {*client_authentication.METHODS, "invalid_request", "invalid_client", "malformed_request"}


def _read(call: Call) -> str:
    """The method that is shown, or the code of the refusal."""
    try:
        return client_authentication.read(call).method
    except Refusal as refusal:
        return refusal.code


@settings(max_examples=500)
@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]) | TEXTS, VALUES, max_size=5),
    st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "jti"]) | TEXTS, VALUES, max_size=6),
    st.binary(max_size=80),
)
@example({"alg": "ES256"}, {"sub": "shop", "exp": 1e308}, b"")
def test_any_assertion_is_read_or_refused(head: dict[str, object], body: dict[str, object], signature: bytes) -> None:
    raw = ".".join(b64(part) for part in (json.dumps(head).encode(), json.dumps(body).encode(), signature))
    try:
        assertion = client_assertions.read(raw)
    except BadAssertion:
        return
    assert assertion.alg == head.get("alg", "")
    assert assertion.client_id == body.get("sub", "")


@settings(max_examples=300)
@given(st.data())
def test_any_change_of_an_assertion_is_read_or_refused(data: st.DataObject) -> None:
    raw = signed(claims(jti="j"))
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:place] + data.draw(TEXTS) + raw[place + data.draw(st.integers(0, 3)) :]
    with contextlib.suppress(BadAssertion):
        assert client_assertions.read(changed).message
