"""Which tokens are the provider's, for this API and in time; and where its keys come from."""

import base64
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from idp_verifier import InvalidToken, Superseded, Unavailable, Verifier, tokens
from tests.verifier.conftest import Make
from tests.verifier.provider import API, NOW, FakeClock, FakeProvider

JWKS = "/.well-known/jwks.json"


def segment(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def refused(verifier: Verifier, token: str) -> str:
    with pytest.raises(InvalidToken) as error:
        verifier.verify(token)
    return error.value.description


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://elsewhere.example.com"},
        {"iss": None},
        {"aud": "https://refunds.example.com"},
        {"aud": ["https://refunds.example.com", API + "/"]},
        {"aud": None},
        {"sub": None},
        {"exp": NOW - 5},
        {"exp": None},
        {"exp": str(NOW + 300)},
        {"exp": True},
        {"nbf": NOW + 6},
        {"azv": None},
        {"azv": "1000"},
        {"azv": -1},
        {"azv": 999.5},
    ],
)
def test_what_is_for_others_or_out_of_time_is_refused(
    verifier: Verifier, provider: FakeProvider, claims: dict[str, Any]
) -> None:
    verifier.verify(provider.token())
    refused(verifier, provider.token(**claims))


def test_the_issuer_may_stand_beside_the_audience(verifier: Verifier, provider: FakeProvider) -> None:
    assert verifier.verify(provider.token(aud=[provider.issuer, API])).subject == "usr_alice"


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt", "application/at+jwt", ""])
def test_other_kinds_of_tokens_are_refused(verifier: Verifier, provider: FakeProvider, typ: str) -> None:
    refused(verifier, provider.token(typ=typ))


def test_a_signature_by_another_key_is_refused(verifier: Verifier, provider: FakeProvider) -> None:
    refused(verifier, provider.token(key=ECKey.generate_key("P-256")))


def test_every_claim_is_under_the_signature(verifier: Verifier, provider: FakeProvider) -> None:
    header, payload, signature = provider.token().split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "=="))
    for changed in (said | {"roles": ["super_admin"]}, said | {"azv": 1_001}):
        refused(verifier, f"{header}.{segment(json.dumps(changed).encode())}.{signature}")


def test_the_algorithm_is_not_the_token_s_choice(verifier: Verifier, provider: FakeProvider) -> None:
    payload, public = provider.token().split(".")[1], provider.keys["k1"].as_pem(private=False)
    for alg in ("HS256", "none"):
        header = segment(json.dumps({"alg": alg, "typ": "at+jwt", "kid": "k1"}).encode())
        mac = hmac.new(public, f"{header}.{payload}".encode(), "sha256").digest() if alg == "HS256" else b""
        refused(verifier, f"{header}.{payload}.{segment(mac)}")


@pytest.mark.parametrize("member", ["jwk", "jku", "x5u", "x5c", "crit"])
def test_nothing_else_in_the_header_counts(verifier: Verifier, provider: FakeProvider, member: str) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "k1"}
    message = f"{segment(json.dumps(header | {member: 'x'}).encode())}.{provider.token().split('.')[1]}"
    signature = jws.JWSRegistry.algorithms["ES256"].sign(message.encode(), provider.keys["k1"])
    refused(verifier, f"{message}.{segment(signature)}")


@given(st.one_of(st.text(max_size=300), st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,4}")))
def test_whatever_a_stranger_sends_is_an_invalid_token(raw: str) -> None:
    key = ECKey.generate_key("P-256")
    with pytest.raises(InvalidToken):
        tokens.read(raw, issuer="https://id", audience=API, key_of=lambda kid: key, now=NOW)


# Keys


def test_an_unknown_key_makes_it_look_again_at_most_every_ten_seconds(
    verifier: Verifier, provider: FakeProvider, clock: FakeClock
) -> None:
    verifier.verify(provider.token())
    provider.keys["k2"] = ECKey.generate_key("P-256")
    for _ in range(20):
        refused(verifier, provider.token(kid="k2"))
    assert provider.count(JWKS) == 1
    clock.seconds += 10
    verifier.poll()
    verifier.verify(provider.token(kid="k2"))
    for number in range(20):
        refused(verifier, provider.token(kid=f"none-{number}", key=provider.keys["k1"]))
    assert provider.count(JWKS) == 2


def test_keys_that_cannot_be_read_are_no_reason_to_refuse(
    verifier: Verifier, provider: FakeProvider, clock: FakeClock
) -> None:
    provider.failing[JWKS] = 500
    for _ in range(5):
        with pytest.raises(Unavailable):
            verifier.verify(provider.token())
    assert provider.count(JWKS) == 1
    provider.failing.clear()
    clock.seconds += 1
    verifier.verify(provider.token())


def test_a_withdrawn_key_is_dropped_at_once(verifier: Verifier, provider: FakeProvider, clock: FakeClock) -> None:
    verifier.verify(provider.token())
    provider.lose(kid="k1")
    verifier.poll()
    forged = provider.token(azv=provider.head)  # whoever holds the key can write any position
    with pytest.raises(Superseded):
        verifier.verify(forged)
    clock.seconds += 20
    verifier.poll()
    with pytest.raises(Superseded):  # a node of the provider may still publish it
        verifier.verify(forged)
    provider.keys["k2"] = ECKey.generate_key("P-256")
    verifier.verify(provider.token(kid="k2"))
    with pytest.raises(Superseded):
        verifier.verify(forged)


def test_its_successor_is_found_at_once_whatever_strangers_ask_for(verifier: Verifier, provider: FakeProvider) -> None:
    verifier.verify(provider.token())
    refused(verifier, provider.token(kid="k7", key=provider.keys["k1"]))  # from now on it does not look for a while
    del provider.keys["k1"]
    provider.lose(kid="k1")
    provider.keys["k2"] = ECKey.generate_key("P-256")
    verifier.poll()
    verifier.verify(provider.token(kid="k2"))
    refused(verifier, provider.token(kid="k7", key=provider.keys["k2"]))
    assert provider.count(JWKS) == 2, "strangers cannot make it look more often than before"


def test_a_node_that_still_publishes_it_is_asked_again_in_a_second(
    verifier: Verifier, provider: FakeProvider, clock: FakeClock
) -> None:
    verifier.verify(provider.token())
    provider.lose(kid="k1")
    verifier.poll()
    k2 = ECKey.generate_key("P-256")
    refused(verifier, provider.token(kid="k2", key=k2))  # the node that we asked has not heard of it
    provider.keys = {"k2": k2}
    refused(verifier, provider.token(kid="k2", key=k2))
    clock.seconds += 1
    verifier.verify(provider.token(kid="k2"))


def test_a_key_that_was_withdrawn_while_we_were_away_is_not_known_any_more(
    verifier: Verifier, provider: FakeProvider
) -> None:
    verifier.verify(provider.token())
    stolen = provider.keys.pop("k1")
    provider.floor = provider.lose(kid="k1")
    provider.entries.clear()
    provider.keys["k2"] = ECKey.generate_key("P-256")
    verifier.poll()
    refused(verifier, provider.token(kid="k1", key=stolen))
    verifier.verify(provider.token(kid="k2"))


def test_keys_of_other_algorithms_are_left_aside(make: Make, provider: FakeProvider) -> None:
    provider.keys["p384"] = ECKey.generate_key("P-384")
    verifier = make()
    verifier.poll()
    verifier.verify(provider.token())
    said = provider.token().split(".")[1]
    header = segment(b'{"alg":"ES256","typ":"at+jwt","kid":"p384"}')
    refused(verifier, f"{header}.{said}.{'A' * 86}")
