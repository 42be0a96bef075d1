"""The `claims` parameter: read strictly, kept whole, and never the cause of a fault of ours."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.oauth import claims_request
from idp.oauth.claims_request import MOST, NO_CLAIMS, ClaimsRequest
from idp.oauth.errors import InvalidRequest


def test_both_places_are_read() -> None:
    asked = claims_request.parse(
        '{"id_token": {"email": null, "auth_time": {"essential": true}}, "userinfo": {"name": {}, "x": {"value": 1}}}'
    )
    assert asked.id_token == {"email": {}, "auth_time": {"essential": True}}
    assert asked.userinfo == {"name": {}, "x": {"value": 1}}


def test_nothing_asks_for_nothing() -> None:
    assert claims_request.parse("") == claims_request.parse("{}") == claims_request.parse('{"id_token":null}')
    assert claims_request.parse("") == NO_CLAIMS


def test_members_that_nobody_knows_are_ignored() -> None:
    asked = claims_request.parse('{"verified_claims": [], "id_token": {"email": {"purpose": "x", "value": "a@b"}}}')
    assert asked == ClaimsRequest({"email": {"value": "a@b"}})


@pytest.mark.rule("AUZ-15")
@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "1",
        "null",
        '"x"',
        "{",
        '{"id_token": []}',
        '{"id_token": "x"}',
        '{"userinfo": 1}',
        '{"id_token": {"email": 1}}',
        '{"id_token": {"email": []}}',
        '{"id_token": {"email": {"essential": 1}}}',
        '{"id_token": {"email": {"essential": null}}}',
        '{"id_token": {"email": {"values": "x"}}}',
        '{"id_token": {}, "id_token": {}}',
        '{"id_token": {"x": NaN}}',
        '{"id_token": {"x": {"value": 1e999}}}',
        "[" * 100_000,
        '{"id_token":' * 500,
        json.dumps({"id_token": {f"c{number}": None for number in range(MOST + 1)}}),
    ],
    ids=range(20),
)
def test_what_cannot_be_read_is_an_invalid_request(text: str) -> None:
    with pytest.raises(InvalidRequest, match="claims"):
        claims_request.parse(text)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id_token", "essential", "values", "x"]), inner)
    ),
    max_leaves=10,
)


@pytest.mark.rule("AUZ-15")
@settings(max_examples=500)
@given(st.one_of(st.text(), _JSON.map(json.dumps), _JSON.map(lambda said: json.dumps({"id_token": {"acr": said}}))))
def test_whatever_is_sent_is_read_or_refused(text: str) -> None:
    try:
        asked = claims_request.parse(text)
    except InvalidRequest:
        return
    assert ClaimsRequest.load(asked.dump()) == asked
    assert all(isinstance(word, str) for word in (*asked.essential_acr, *asked.wished_acr, asked.sub))


@pytest.mark.parametrize(
    ("said", "essential", "wished"),
    [
        ({"essential": True, "values": ["aal2", "phr"]}, ("aal2", "phr"), ()),
        ({"essential": True, "value": "phr"}, ("phr",), ()),
        ({"values": ["aal2"]}, (), ("aal2",)),
        ({"essential": False, "value": "aal2"}, (), ("aal2",)),
        ({"essential": True}, (), ()),
        ({"essential": True, "values": [1, None, "aal2"]}, ("aal2",), ()),
    ],
)
def test_levels_are_demanded_or_wished(said: object, essential: tuple[str, ...], wished: tuple[str, ...]) -> None:
    asked = claims_request.parse(json.dumps({"id_token": {"acr": said}}))
    assert (asked.essential_acr, asked.wished_acr) == (essential, wished)


def test_a_subject_can_be_named() -> None:
    assert claims_request.parse('{"id_token": {"sub": {"value": "usr_1"}}}').sub == "usr_1"
    assert claims_request.parse('{"id_token": {"sub": {"value": 1}}}').sub == ""
    assert claims_request.parse('{"userinfo": {"sub": {"value": "usr_1"}}}').sub == ""
