"""Access tokens read back: what is taken for one, and what has to be true for it to still stand."""

import base64
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from joserfc.jwk import OctKey
from joserfc.jws import JWSRegistry

from idp.audit.trail import SYSTEM
from idp.clients import clients
from idp.clients.clients import ClientSettings
from idp.keys import jwks, material, rotation, signing
from idp.keys.material import Slot
from idp.oauth import access_tokens
from idp.oauth.access_tokens import AccessToken
from idp.oauth.errors import InvalidToken
from idp.platform import clock, database
from tests.keys.conftest import Node, node
from tests.oauth import minting
from tests.oauth.minting import access_token, encoded, segment

__all__ = ["node"]

MACHINE = ClientSettings({"grant_types": ["client_credentials"]})


@pytest.fixture(autouse=True)
def keys(app: Flask) -> None:
    minting.make_keys()


@pytest.fixture
def machine(app: Flask) -> str:
    with database.writing():
        clients.create(MACHINE, by=SYSTEM, id="app_machine")
    return "app_machine"


def test_a_token_of_ours_is_read(app: Flask) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False):
        token = access_tokens.read(access_token(org_id="org_1", sid="ses_1", jti="az_1.abc"))
    assert (token.subject, token.organization_id, token.session_id) == ("app_machine", "org_1", "ses_1")
    assert (token.authorization_id, token.scope) == ("az_1", ("payments",))
    assert token.audiences == ("https://payments.example.com",)
    assert token.expires_at - token.issued_at == 300 * clock.SECOND


def test_a_token_of_a_machine_hangs_on_no_authorization(app: Flask) -> None:
    assert access_tokens.read(access_token(jti="c.abc")).authorization_id == ""


def test_a_machine_s_token_is_live_while_the_machine_is(app: Flask, machine: str) -> None:
    token = access_tokens.read(access_token())
    assert access_tokens.require_live(token) is None
    with database.writing():
        clients.disable(clients.named(machine), by=SYSTEM)
    assert is_dead(token)
    assert is_dead(access_tokens.read(access_token())), "a token that is younger than the loss is dead as well"


def is_dead(token: AccessToken) -> bool:
    try:
        access_tokens.require_live(token)
    except InvalidToken:
        return True
    return False


def is_refused(raw: str) -> bool:
    try:
        access_tokens.read(raw)
    except InvalidToken:
        return True
    return False


def test_an_expired_token_is_refused_from_the_second_on_in_which_it_expires(app: Flask) -> None:
    token = access_token(exp=minting.seconds(60))
    expiry = access_tokens.read(token).expires_at / clock.SECOND
    with time_machine.travel(expiry - 1, tick=False):
        assert not is_refused(token)
    with time_machine.travel(expiry, tick=False):
        assert is_refused(token)


# What is not our serialization, header, algorithm or key


def header_of(token: str) -> dict[str, Any]:
    head = token.partition(".")[0]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    return said


def own_key() -> dict[str, str]:
    """Our public key, as anybody may read it."""
    keys: list[dict[str, str]] = json.loads(jwks.document().body)["keys"]
    return next(key for key in keys if key["kid"] == signing.current("access_token", "ES256").kid)


def with_header(**changed: Any) -> str:
    """A token with another header, signed by our own key all the same."""
    return access_token(header=changed)


def without_signature(alg: str = "none") -> str:
    header, claims = {"alg": alg, "typ": "at+jwt", "kid": own_key()["kid"]}, minting.access_claims()
    return f"{segment(header)}.{segment(claims)}."


def by_our_public_key(alg: str = "HS256") -> str:
    """Signed with our public key taken for a shared secret."""
    secret = OctKey.import_key(json.dumps(own_key()).encode())
    message = f"{segment({'alg': alg, 'typ': 'at+jwt', 'kid': own_key()['kid']})}.{segment(minting.access_claims())}"
    return f"{message}.{encoded(JWSRegistry.algorithms[alg].sign(message.encode(), secret))}"


def by_a_key_of_theirs(**header: Any) -> str:
    """Signed by a key that somebody else made, and that the header may bring along."""
    pair = material.generate([minting.ACCESS])[0]
    full = {"alg": "ES256", "typ": "at+jwt", "kid": own_key()["kid"], **header}
    if "jwk" in header:
        full["jwk"] = material.public(pair)
    message = f"{segment(full)}.{segment(minting.access_claims())}"
    return f"{message}.{encoded(JWSRegistry.algorithms['ES256'].sign(message.encode(), pair.jwk))}"


def as_json(flat: bool) -> str:
    header, payload, signature = access_token().split(".")
    one = {"protected": header, "signature": signature}
    return json.dumps({"payload": payload, **one} if flat else {"payload": payload, "signatures": [one]})


EVIL = "https://evil.test/key"

FORGERIES: dict[str, Callable[[], str]] = {
    "none": without_signature,
    "None": lambda: without_signature("None"),
    "nothing signed": lambda: access_token().rpartition(".")[0] + ".",
    "two parts": lambda: access_token().rpartition(".")[0],
    "four parts": lambda: access_token() + ".x",
    "HMAC over our public key": by_our_public_key,
    "HMAC over our public key, 512": lambda: by_our_public_key("HS512"),
    "another algorithm of the key": lambda: with_header(alg="ES384"),
    "no algorithm": lambda: with_header(alg=None),
    "a list of algorithms": lambda: with_header(alg=["ES256"]),
    "no kid": lambda: with_header(kid=None),
    "an unknown kid": lambda: with_header(kid="unknown"),
    "their key by our kid": by_a_key_of_theirs,
    "their key embedded": lambda: by_a_key_of_theirs(jwk=True),
    "their key, no kid": lambda: by_a_key_of_theirs(jwk=True, kid=None),
    "jwk beside our signature": lambda: with_header(jwk=own_key()),
    "jku": lambda: with_header(jku=EVIL),
    "x5u": lambda: with_header(x5u=EVIL),
    "x5c": lambda: with_header(x5c=["MIIB"]),
    "x5t": lambda: with_header(x5t="x"),
    "crit": lambda: with_header(crit=["exp"]),
    "empty crit": lambda: with_header(crit=[]),
    "b64": lambda: with_header(b64=False, crit=["b64"]),
    "zip": lambda: with_header(zip="DEF"),
    "cty": lambda: with_header(cty="JWT"),
    "no typ": lambda: with_header(typ=None),
    "typ of an ID token": lambda: with_header(typ="JWT"),
    "typ of a logout token": lambda: with_header(typ="logout+jwt"),
    "typ that is no text": lambda: with_header(typ=["at+jwt"]),
    "flattened JSON": lambda: as_json(flat=True),
    "general JSON": lambda: as_json(flat=False),
    "no signatures": lambda: json.dumps({"payload": segment(minting.access_claims()), "signatures": []}),
    "padded": lambda: access_token() + "=",
    "with a line end": lambda: access_token() + "\n",
    "a blank before it": lambda: " " + access_token(),
    "a header twice as long": lambda: with_header(kid="x" * 500),
    "twice the same name": lambda: f"{encoded(_twice())}.{access_token().partition('.')[2]}",
}


def _twice() -> bytes:
    said = json.dumps(header_of(access_token()))
    return f'{said[:-1]}, "alg": "ES256"}}'.encode()


@pytest.mark.rule("JWT-03")
@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_we_did_not_sign_as_we_sign_is_refused_without_asking_anybody(
    app: Flask, forgery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = FORGERIES[forgery]()
    assert not is_refused(access_token())

    def connect(*_: object, **__: object) -> None:
        raise AssertionError("an address in a token was asked")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    assert is_refused(token)


@pytest.mark.rule("JWT-04")
@pytest.mark.parametrize(
    "kid",
    [
        "../../etc/passwd",
        "' OR 1=1 --",
        "\0",
        "a\0b",
        "%00",
        "x" * 64_000,
        "é",
        "",
        0,
        1.5,
        True,
        {},
        {"kid": "x"},
        [],
        ["x"],
        None,
    ],
    ids=repr,
)
def test_whatever_stands_for_the_key_is_refused_and_never_a_bug(app: Flask, kid: object) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": kid}
    token = f"{segment(header)}.{segment(minting.access_claims())}.{encoded(b'x' * 64)}"
    assert is_refused(token)
    answer = app.test_client().get("/oauth2/userinfo", headers={"Authorization": f"Bearer {token[:20_000]}"})
    assert answer.status_code == 401


@pytest.mark.rule("JWT-04")
def test_a_list_with_our_kid_in_it_is_not_our_kid(app: Flask) -> None:
    assert is_refused(with_header(kid=[own_key()["kid"]]))


LATER = 10_000_000_000_000

BAD_CLAIMS: list[tuple[str, object]] = [
    *(("exp", value) for value in (None, "9999999999", 9999999999.5, LATER, 10**400, -1, True, [], {})),
    *(("iat", value) for value in (None, "0", 1.5, LATER, False)),
    *(("nbf", value) for value in ("0", 1.5, 9_999_999_999, True)),
    *(
        ("iss", value)
        for value in (None, "", "http://localhost:8000/", "http://LOCALHOST:8000", "https://localhost:8000", 1, [])
    ),
    *(("aud", value) for value in (None, "", [], [""], 1, {}, [1], ["http://localhost:8000", 1], [["x"]], True)),
    *(("sub", value) for value in (None, "", 1, ["x"], True)),
    *(("client_id", value) for value in (None, "", 1, ["x"])),
    *(("jti", value) for value in (None, "", 1, ["c.x"])),
    *(("scope", value) for value in (1, ["openid"], True)),
    *(("azv", value) for value in (None, "1", 1.5, -1, True)),
    *(("org_id", value) for value in (1, ["org_1"])),
    *(("sid", value) for value in (1, {})),
]


@pytest.mark.rule("JWT-05")
@pytest.mark.parametrize(("claim", "value"), BAD_CLAIMS, ids=lambda value: repr(value)[:30])
def test_a_claim_that_is_missing_or_of_another_type_is_refused(app: Flask, claim: str, value: object) -> None:
    assert is_refused(access_token(**{claim: value}))


@pytest.mark.rule("JWT-05")
@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b'"x"', b'{"exp": NaN}', b'{"exp": 1e999}', b"\xff", b'{"a":1,"a":1}', b"{"]
)
def test_a_payload_that_readers_disagree_about_is_refused(app: Flask, payload: bytes) -> None:
    pair = signing.current("access_token", "ES256")
    message = f"{segment({'alg': 'ES256', 'kid': pair.kid, 'typ': 'at+jwt'})}.{encoded(payload)}"
    signature = JWSRegistry.algorithms["ES256"].sign(message.encode(), pair.jwk)
    assert is_refused(f"{message}.{encoded(signature)}")


@settings(max_examples=2_000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_a_token_is_taken_and_none_is_a_bug(app: Flask, data: st.DataObject) -> None:
    token = remembered_token()
    place = data.draw(st.integers(0, len(token) - 1))
    length = data.draw(st.integers(0, 3))
    inserted = data.draw(st.text(st.characters(codec="utf-8"), max_size=3))
    changed = token[:place] + inserted + token[place + length :]
    assert changed == token or is_refused(changed)


@example("")
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,30}"))
def test_no_text_is_a_token_by_chance_or_a_bug(app: Flask, text: str) -> None:
    assert is_refused(text)


def remembered_token() -> str:
    """A token that lives as long as the test."""
    token = _remembered.get(own_key()["kid"])
    if token is None:
        token = _remembered[own_key()["kid"]] = access_token(exp=minting.seconds(3_000))
    return token


_remembered: dict[str, str] = {}


# Keys


@pytest.mark.rule("JWT-09")
def test_a_key_of_another_purpose_is_refused(app: Flask) -> None:
    claims = minting.access_claims()
    assert is_refused(minting.signed(claims, "id_token", "ES256", {"typ": "at+jwt"}))
    assert not is_refused(minting.signed(claims, "access_token", "ES256", {"typ": "at+jwt"}))
    (saml,) = material.generate([Slot("saml", "RS256")])
    with database.writing():
        rotation.bring(saml, by=SYSTEM)
    assert is_refused(minting.signed(claims, "saml", "RS256", {"typ": "at+jwt"}))


@pytest.mark.rule("JWT-07")
def test_what_is_signed_before_during_and_after_a_rotation_is_read_throughout_on_every_node(
    app: Flask, node: Node
) -> None:
    nodes, started = (app, node()), clock.now() / clock.SECOND
    old = signing.current("access_token", "ES256").kid
    tokens = [access_token(exp=minting.seconds(3_300))]
    (new,) = material.generate([minting.ACCESS])
    with database.writing():
        rotation.plan([new], by=SYSTEM)
    for minutes, kid in ((1, old), (9, old), (11, new.kid), (50, new.kid)):
        with time_machine.travel(started + minutes * 60, tick=True):
            tokens.append(access_token(exp=minting.seconds(3_300)))
            assert header_of(tokens[-1])["kid"] == kid
            for one in nodes:
                assert new.kid in published(one), "a full cache lifetime before it signs"
                with one.app_context():
                    assert not any(map(is_refused, tokens)), minutes
    with time_machine.travel(started + 80 * 60, tick=True):
        assert [old in published(one) for one in nodes] == [False, False]


def published(app: Flask) -> list[str]:
    keys = app.test_client().get("/.well-known/jwks.json").get_json()["keys"]
    return [key["kid"] for key in keys]


@pytest.mark.rule("JWT-08")
def test_what_a_withdrawn_key_signed_is_refused_within_five_seconds_and_at_introspection_at_once(
    app: Flask, machine: str
) -> None:
    token = access_token()
    read = access_tokens.read(token)
    assert not is_dead(read)
    kids, replacements = rotation.in_use(), material.generate([minting.ACCESS, minting.ID])
    with database.writing():
        rotation.withdraw(kids, replacements, by=SYSTEM)
    assert is_dead(read)
    with time_machine.travel(clock.now() / clock.SECOND + 5, tick=False):
        assert is_refused(token)
        assert not is_refused(access_token())


def test_a_token_from_a_history_that_was_undone_is_dead(app: Flask, machine: str) -> None:
    assert is_dead(access_tokens.read(access_token(azv=2**62)))


def test_a_token_whose_client_is_not_that_of_its_authorization_is_dead(app: Flask, machine: str) -> None:
    assert is_dead(access_tokens.read(access_token(jti="az_unknown.x")))
