"""`private_key_jwt`: what an assertion must say, that it serves once, and where the keys come from."""

import base64
import hmac
import itertools
import json
import multiprocessing
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from flask import Flask
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from idp.clients import clients, key_sets
from idp.clients.clients import ClientSettings
from idp.clients.key_sets import Due
from idp.clients.metadata import Json
from idp.clients.registered import RegisteredClient
from idp.oauth import active_clients, client_assertions
from idp.oauth.errors import InvalidClient, InvalidRequest, OAuthError
from idp.oauth.models import SpentAssertion
from idp.oauth.views.authentication import authenticate
from idp.platform import clock, database
from idp.platform.calls import Call
from tests import databases, remote
from tests.oauth.calls import basic, posted
from tests.remote import Remote, answer
from tests.traces import OPERATOR

ISSUER = "http://localhost:8000"
REDIRECT = ["https://shop.example.com/cb"]
KEYS = {
    "ES256": ECKey.generate_key("P-256"),
    "RS256": RSAKey.generate_key(2048),
    "PS256": RSAKey.generate_key(2048),
    "EdDSA": OKPKey.generate_key("Ed25519"),
}
_numbers = itertools.count()


def public(name: str = "ES256", **more: Json) -> dict[str, Json]:
    bound: dict[str, Json] = {"alg": name} if name == "RS256" else {}
    return {**KEYS[name].as_dict(private=False), "kid": name, **bound, **more}


def register(client_id: str = "shop", **metadata: Json) -> None:
    given: dict[str, Json] = {
        "redirect_uris": REDIRECT,
        "token_endpoint_auth_method": "private_key_jwt",
        **({} if "jwks_uri" in metadata else {"jwks": {"keys": [public(alg) for alg in KEYS]}}),
        **metadata,
    }
    with database.writing():
        clients.create(ClientSettings(given), by=OPERATOR, id=client_id)


def seconds(after: float = 0) -> int:
    return int(clock.now() / clock.SECOND + after)


def claims(**other: Any) -> dict[str, Any]:
    said = {"iss": "shop", "sub": "shop", "aud": ISSUER, "exp": seconds(60), "jti": f"jti-{next(_numbers)}", **other}
    return {name: value for name, value in said.items() if value is not None}


def signed(said: dict[str, Any] | None = None, alg: str = "ES256", key: Any = None, **header: Any) -> str:
    head = {name: value for name, value in {"alg": alg, "kid": alg, **header}.items() if value is not None}
    message = ".".join(b64(json.dumps(part).encode()) for part in (head, said or claims()))
    signature = JWSRegistry.algorithms[alg].sign(message.encode(), KEYS[alg] if key is None else key)
    return f"{message}.{b64(signature)}"


def call(assertion: str, *, path: str = "/oauth2/token", **form: str) -> Call:
    sent = {"client_assertion": assertion, "client_assertion_type": client_assertions.TYPE, **form}
    return posted(sent, path=path)


def refused(request: Call) -> OAuthError:
    with pytest.raises(OAuthError) as caught:
        authenticate(request)
    return caught.value


def no(request: Call) -> None:
    error = refused(request)
    assert isinstance(error, InvalidClient)
    assert error.body() == InvalidClient().body()


@pytest.mark.parametrize("alg", KEYS)
@pytest.mark.parametrize("form", [{}, {"client_id": "shop"}])
def test_a_client_authenticates_with_a_key_of_its_own(app: Flask, alg: str, form: dict[str, str]) -> None:
    register()
    assert authenticate(call(signed(alg=alg), **form)).id == "shop"


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "client-authentication+jwt"])
@pytest.mark.parametrize("kid", [None, "ES256"])
def test_type_and_key_id_may_be_left_out(app: Flask, typ: str | None, kid: str | None) -> None:
    register()
    assert authenticate(call(signed(typ=typ, kid=kid))).id == "shop"


def hmac_with_the_public_key(said: dict[str, Any]) -> str:
    key = KEYS["RS256"].as_pem(private=False)
    head, body = (b64(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "RS256"}, said))
    message = f"{head}.{body}"
    return f"{message}.{b64(hmac.digest(key, message.encode(), 'sha256'))}"


def unsigned(said: dict[str, Any], signature: str = "") -> str:
    head, body = (b64(json.dumps(part).encode()) for part in ({"alg": "none"}, said))
    return f"{head}.{body}.{signature}"


def compact(head: bytes, body: bytes) -> str:
    return f"{b64(head)}.{b64(body)}.AAAA"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def changed(assertion: str) -> str:
    head, _, signature = assertion.split(".")
    return f"{head}.{b64(json.dumps(claims()).encode())}.{signature}"


FORGED = {
    "another key": lambda: signed(key=ECKey.generate_key("P-256")),
    "another key of the same kind": lambda: signed(alg="RS256", key=RSAKey.generate_key(2048)),
    "the key of another algorithm": lambda: signed(alg="PS256", key=KEYS["RS256"], kid="RS256"),
    "changed claims": lambda: changed(signed()),
    "no algorithm": lambda: unsigned(claims()),
    "no algorithm, but a signature": lambda: unsigned(claims(), "AAAA"),
    "HMAC with the public key": lambda: hmac_with_the_public_key(claims()),
    "a key in the header": lambda: signed(
        key=(own := ECKey.generate_key("P-256")), jwk=own.as_dict(private=False), kid=None
    ),
    "another kind of JWT": lambda: signed(typ="at+jwt"),
    "a logout token": lambda: signed(typ="logout+jwt"),
    "a header that must be understood": lambda: signed(crit=["x"], x=1),
    "a payload that is not encoded": lambda: signed(crit=["b64"], b64=True),
    "not a JWT": lambda: "x",
    "two parts": lambda: "a.b",
    "padding": lambda: signed() + "=",
    "five parts": lambda: "aaaa.bbbb.cccc.dddd.eeee",
    "no object": lambda: compact(b"[]", b"[]"),
    "twice the same name": lambda: compact(b'{"alg":"ES256","alg":"none"}', b"{}"),
    "huge": lambda: signed(claims(more="x" * 20_000)),
    "deep": lambda: compact(b'{"alg":"ES256"}', b'{"a":' * 2000 + b"1" + b"}" * 2000),
}


@pytest.mark.rule("CLI-05")
@pytest.mark.parametrize("manner", FORGED)
def test_an_assertion_that_the_client_did_not_sign_proves_nothing(app: Flask, manner: str) -> None:
    register()
    no(call(FORGED[manner]()))
    no(call(FORGED[manner](), client_id="shop"))


@pytest.mark.rule("CLI-05")
@pytest.mark.parametrize(
    "other",
    [
        {"iss": "other"},
        {"iss": None},
        {"sub": "other"},
        {"sub": None},
        {"aud": None},
        {"aud": "https://elsewhere.example.com/oauth2/token"},
        {"aud": []},
        {"aud": f"{ISSUER}/"},
        {"aud": 7},
        {"exp": None},
        {"exp": -1},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 10**30},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 2000},
        {"nbf": "now"},
        {"iat": "now"},
    ],
    ids=str,
)
def test_an_assertion_says_who_for_whom_and_until_when(app: Flask, other: dict[str, Any]) -> None:
    register()
    register("other")
    no(call(signed(claims(**other))))


@pytest.mark.rule("CLI-05")
@pytest.mark.parametrize(
    ("other", "good"),
    [
        ({"exp": 1}, True),
        ({"exp": 0}, False),
        ({"exp": -60}, False),
        ({"exp": 300}, True),
        ({"exp": 330}, False),
        ({"exp": 3600}, False),
        ({"exp": 60, "nbf": 5}, True),
        ({"exp": 60, "nbf": 30}, False),
        ({"exp": 60, "iat": 5}, True),
        ({"exp": 60, "iat": 30}, False),
        ({"exp": 60, "iat": -86400}, True),
        ({"exp": 59.5, "iat": -0.5}, True),
    ],
    ids=str,
)
def test_an_assertion_is_for_now(app: Flask, other: dict[str, float], good: bool) -> None:
    register()
    with time_machine.travel(1_800_000_000, tick=False):
        now = clock.now() / clock.SECOND
        request = call(signed(claims(**{name: now + after for name, after in other.items()})))
        assert authenticate(request).id == "shop" if good else no(request) is None


@pytest.mark.rule("CLI-07")
@pytest.mark.parametrize("profile", ["oidc", "fapi2"])
@pytest.mark.parametrize(
    ("audience", "good_for"),
    [
        (ISSUER, ("oidc", "fapi2")),
        (f"{ISSUER}/oauth2/token", ("oidc",)),
        (f"{ISSUER}/oauth2/introspect", ("oidc",)),
        ([ISSUER], ("oidc",)),
        ([ISSUER, "https://elsewhere.example.com"], ("oidc",)),
        (f"{ISSUER}/oauth2/revoke", ()),
        ("https://elsewhere.example.com/oauth2/token", ()),
        (["https://elsewhere.example.com"], ()),
        ("/oauth2/token", ()),
        (ISSUER.upper(), ()),
    ],
    ids=str,
)
def test_an_assertion_is_for_this_issuer_or_the_endpoint_that_was_called(
    app: Flask, profile: str, audience: Json, good_for: tuple[str, ...]
) -> None:
    register(profile=profile)
    request = call(signed(claims(aud=audience)), path="/oauth2/introspect")
    assert authenticate(request).id == "shop" if profile in good_for else no(request) is None


def test_a_registered_algorithm_is_the_only_one(app: Flask) -> None:
    register(token_endpoint_auth_signing_alg="PS256")
    register("strict", profile="fapi2")
    no(call(signed(alg="ES256")))
    assert authenticate(call(signed(alg="PS256"))).id == "shop"
    no(call(signed(claims(iss="strict", sub="strict"), alg="RS256")))
    assert authenticate(call(signed(claims(iss="strict", sub="strict"), alg="ES256"))).id == "strict"


@pytest.mark.rule("CLI-02")
def test_an_assertion_stands_alone(app: Flask) -> None:
    register()
    for request in (
        call(signed(), client_secret="x"),
        call("rubbish", client_secret="x"),
        call(signed(), client_id="other"),
        posted({"client_assertion": signed()}),
        posted({"client_assertion_type": client_assertions.TYPE, "client_id": "shop"}),
        posted(
            {"client_assertion": signed(), "client_assertion_type": client_assertions.TYPE},
            authorization=basic("shop", "x"),
        ),
    ):
        assert isinstance(refused(request), InvalidRequest)
    no(posted({"client_assertion": signed(), "client_assertion_type": "urn:ietf:params:oauth:grant-type:saml2-bearer"}))


@pytest.mark.rule("CLI-03")
def test_an_assertion_is_only_for_clients_that_are_registered_for_it(app: Flask) -> None:
    for number, method in enumerate(("client_secret_basic", "client_secret_post", "none", "tls_client_auth")):
        name = f"other-{number}"
        extra: dict[str, Json] = {"tls_client_auth_san_dns": "x"} if method == "tls_client_auth" else {}
        register(name, token_endpoint_auth_method=method, **extra)
        no(call(signed(claims(iss=name, sub=name))))
    register()
    for request in (
        posted({"client_id": "shop"}),
        posted({"client_id": "shop", "client_secret": "x"}),
        posted(authorization=basic("shop", "x")),
    ):
        no_with_any_challenge(request)


def no_with_any_challenge(request: Call) -> None:
    assert isinstance(refused(request), InvalidClient)


@pytest.mark.rule("CLI-01")
def test_an_unknown_and_a_disabled_client_get_the_answer_of_a_wrong_key(app: Flask) -> None:
    register()
    no(call(signed(claims(iss="nobody", sub="nobody"))))
    with database.writing():
        clients.disable(clients.named("shop"), by=OPERATOR)
    no(call(signed()))


# Once


@pytest.mark.rule("CLI-06")
def test_an_assertion_serves_once_however_it_is_spelled(app: Flask) -> None:
    register()
    register("other")
    said = claims(jti="once")
    first = signed(said)
    assert authenticate(call(first)).id == "shop"
    no(call(first))
    no(call(first + "="))
    no(call(signed(said, alg="RS256")))
    no(call(signed({**said, "exp": said["exp"] + 60})))
    assert authenticate(call(signed({**said, "iss": "other", "sub": "other"}))).id == "other"


@pytest.mark.rule("CLI-06")
def test_what_is_refused_spends_nothing(app: Flask) -> None:
    register()
    said = claims()
    no(call(signed(said, key=ECKey.generate_key("P-256"))))
    assert authenticate(call(signed(said))).id == "shop"


def _present(url: str, request: str, ready: Any, results: Any) -> None:
    app = databases.app_on(url)
    with app.app_context():
        ready.wait()
        for _ in range(5):
            try:
                authenticate(call(request))
            except InvalidClient:
                results.put("no")
            else:
                results.put("yes")
        databases.dispose()


@pytest.mark.rule("CLI-06")
def test_of_two_nodes_at_once_only_one_takes_an_assertion(app: Flask, database_url: str) -> None:
    register()
    database.session().rollback()
    request = signed(claims(exp=seconds(200)))
    context = multiprocessing.get_context("spawn")
    results, ready = context.Queue(), context.Barrier(2)
    nodes = [context.Process(target=_present, args=(database_url, request, ready, results)) for _ in range(2)]
    for node in nodes:
        node.start()
    answers = [results.get(timeout=60) for _ in range(10)]
    for node in nodes:
        node.join()
    assert sorted(answers) == ["no"] * 9 + ["yes"]


@pytest.mark.rule("CLI-06")
def test_a_used_assertion_is_remembered_until_it_has_expired(app: Flask) -> None:
    register()
    with time_machine.travel(1_800_000_000, tick=False) as traveller:
        request = call(signed(claims(exp=1_800_000_300)))
        authenticate(request)
        traveller.shift(299)
        assert _cleaned_up() == 0
        no(request)
        traveller.shift(62)
        no(request)
        assert _cleaned_up() == 1
    assert database.session().query(SpentAssertion).count() == 0


def _cleaned_up() -> int:
    with database.writing():
        return client_assertions.clean_up()


# Keys that are fetched


@pytest.fixture
def server(app: Flask) -> Iterator[Remote]:
    """The server of a client, with its keys, on loopback, which the settings of this test allow."""
    with remote.remote(answer(_key_set(public()), media_type="application/jwk-set+json")) as found:
        remote.allow(app, found)
        register(jwks_uri=found.url("/keys"))
        yield found


def _key_set(*keys: Json) -> bytes:
    return json.dumps({"keys": keys}).encode()


def later(by: int) -> time_machine.travel:
    return time_machine.travel((clock.now() + by) / clock.SECOND)


def test_keys_are_fetched_once_and_kept(server: Remote) -> None:
    for _ in range(3):
        assert authenticate(call(signed())).id == "shop"
    assert len(server.requests) == 1
    assert server.requests[0].startswith(b"GET /keys HTTP/1.1\r\n")


@pytest.mark.rule("CLI-08")
def test_an_unknown_key_makes_us_look_again_once_an_interval(server: Remote) -> None:
    authenticate(call(signed()))
    for _ in range(3):
        no(call(signed(alg="RS256")))
    assert len(server.requests) == 1
    server.script = answer(_key_set(public(), public("RS256")))
    with later(key_sets.INTERVAL + clock.SECOND):
        assert authenticate(call(signed(alg="RS256"))).id == "shop"
        for _ in range(3):
            no(call(signed(alg="PS256")))
        assert authenticate(call(signed())).id == "shop"
    assert len(server.requests) == 2


@pytest.mark.rule("CLI-08")
def test_of_those_who_want_to_fetch_one_does_and_the_next_an_interval_later(server: Remote) -> None:
    client = active_clients.find("shop")
    assert client
    assert _may_fetch(client)
    assert [_claim(client.id, server), _claim(client.id, server)] == [True, False]
    with later(key_sets.INTERVAL - 10 * clock.SECOND):
        assert not _claim(client.id, server)
    with later(key_sets.INTERVAL + clock.SECOND):
        assert _may_fetch(client)
        assert [_claim(client.id, server), _claim(client.id, server)] == [True, False]
        with database.writing():
            key_sets.keep(Due(client.id, server.url("/keys")), key_sets.NOTHING)
        assert not _may_fetch(client)


def _may_fetch(client: RegisteredClient) -> bool:
    return key_sets.due(client, kid="ES256", alg="ES256") is not None


def _claim(client_id: str, server: Remote) -> bool:
    with database.writing():
        return key_sets.claim(Due(client_id, server.url("/keys")))


@pytest.mark.rule("CLI-08")
def test_a_key_that_was_taken_back_counts_for_an_hour_at_most(server: Remote) -> None:
    authenticate(call(signed()))
    server.script = answer(_key_set(public("RS256")))
    with later(key_sets.FRESH - clock.MINUTE):
        authenticate(call(signed()))
    with later(key_sets.FRESH + clock.MINUTE):
        no(call(signed()))
    assert len(server.requests) == 2


BROKEN = {
    "away": answer(status="503 Away"),
    "elsewhere": answer(status="302 Found", headers=("Location: https://localhost/",)),
    "large": answer(b" " * 10_000_000),
    "full": answer(_key_set(*[public(kid=f"k{n}") for n in range(1000)])),
    "a page": answer(b"<html>", media_type="text/html"),
    "no JSON": answer(b"{"),
    "no set": answer(b"[]"),
    "empty": answer(_key_set()),
    "private": answer(_key_set(dict(KEYS["ES256"].as_dict(private=True)))),
    "symmetric": answer(_key_set({"kty": "oct", "k": "AAAA"})),
    "silent": lambda connection: None,
}


@pytest.mark.rule("CLI-08")
@pytest.mark.parametrize("manner", BROKEN)
def test_the_last_good_copy_is_used_for_a_bounded_time(server: Remote, manner: str) -> None:
    authenticate(call(signed()))
    server.script = BROKEN[manner]
    with later(key_sets.FRESH + clock.MINUTE):
        assert authenticate(call(signed())).id == "shop"
        assert authenticate(call(signed())).id == "shop"
    assert len(server.requests) == 2
    with later(key_sets.LONGEST - 10 * clock.SECOND):
        assert authenticate(call(signed())).id == "shop"
    with later(key_sets.LONGEST + 10 * clock.SECOND):  # too soon for another fetch
        no(call(signed()))
    with later(key_sets.LONGEST + clock.MINUTE):
        no(call(signed()))


@pytest.mark.rule("CLI-08")
@pytest.mark.parametrize("manner", BROKEN)
def test_without_any_good_copy_nothing_is_proven(server: Remote, manner: str) -> None:
    server.script = BROKEN[manner]
    no(call(signed()))
    no(call(signed()))
    assert len(server.requests) == 1


def test_keys_that_cannot_be_used_do_not_spoil_the_others(server: Remote) -> None:
    server.script = answer(
        _key_set({"kty": "oct", "k": "AAAA"}, {"kty": "planet"}, "key", public(use="enc", kid="e"), public())
    )
    assert authenticate(call(signed())).id == "shop"


@pytest.mark.parametrize("said", [{"use": "enc"}, {"alg": "ES384"}, {"key_ops": ["sign"]}, {"kid": "other"}], ids=str)
def test_a_key_for_something_else_does_not_sign(server: Remote, said: dict[str, Json]) -> None:
    server.script = answer(_key_set(public(**said)))
    no(call(signed()))


@pytest.mark.rule("CLI-08")
def test_a_new_address_of_the_keys_ends_the_copy_from_the_old_one(app: Flask, server: Remote) -> None:
    authenticate(call(signed()))
    with database.writing():
        client = clients.named("shop")
        wanted = {**clients.settings_of(client).metadata, "jwks_uri": server.url("/new")}
        clients.reconfigure(client, ClientSettings(wanted), by=OPERATOR)
    server.script = answer(_key_set(public("RS256")))
    no(call(signed()))
    assert authenticate(call(signed(alg="RS256"))).id == "shop"
    assert [head.split()[1] for head in server.requests] == [b"/keys", b"/new"]


@pytest.mark.rule("CLI-08")
def test_only_assertions_that_could_be_right_make_us_fetch(server: Remote) -> None:
    for bad in (claims(aud="https://elsewhere.example.com"), claims(exp=seconds(-5)), claims(jti=None)):
        no(call(signed(bad)))
    no(call(unsigned(claims())))
    assert server.connections == 0


@pytest.mark.rule("CLI-08")
def test_requests_at_once_wait_for_the_one_that_fetches(app: Flask, server: Remote) -> None:
    good = answer(_key_set(public()))

    def slowly(connection: Any) -> None:
        threading.Event().wait(1)
        good(connection)

    server.script = slowly
    database.session().rollback()
    done: list[str] = []
    threads = [threading.Thread(target=_authenticate_in, args=(app, signed(), done)) for _ in range(4)]
    threads[0].start()
    while not server.connections:
        threading.Event().wait(0.01)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert (done, len(server.requests)) == (["shop"] * 4, 1)


def _authenticate_in(app: Flask, assertion: str, done: list[str]) -> None:
    with app.app_context():
        done.append(authenticate(call(assertion)).id)


@pytest.mark.rule("CLI-08")
def test_a_slow_server_of_one_client_holds_up_nobody_else(app: Flask, server: Remote) -> None:
    register("other")
    released = threading.Event()
    server.script = lambda connection: released.wait(60) and None
    database.session().rollback()
    slow = threading.Thread(target=_refused_in, args=(app, signed()))
    slow.start()
    while not server.connections:
        threading.Event().wait(0.01)
    began = clock.monotonic()
    assert authenticate(call(signed(claims(iss="other", sub="other")))).id == "other"
    assert clock.monotonic() - began < 10
    released.set()
    slow.join()


def _refused_in(app: Flask, assertion: str) -> None:
    with app.app_context():
        no(call(assertion))
