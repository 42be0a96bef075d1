"""Answers of authenticators that lie: every field of both ceremonies changed, cut off, made longer or made up."""

import copy
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.credentials import authenticators
from idp.credentials.authenticators import NotAccepted
from tests.authenticators import (
    AT,
    BE,
    BS,
    ED,
    ES256,
    RS256,
    UP,
    UV,
    Authenticator,
    Change,
    Key,
    Parts,
    attested,
    decoded,
    encoded,
)  # fmt: skip
from tests.credentials.test_passkeys import (
    asked,
    asked_to_create,
    bob,
    device,
    offered,
    olivia,
    self_attested,
    set_up,
    state,
)  # fmt: skip
from tests.credentials.test_passkeys import given as given_answer

__all__ = ["bob", "device", "olivia"]


@dataclass(frozen=True)
class Damage:
    """What happens to some bytes: one is changed, or one, all behind it, or none is taken away and others put in."""

    act: str
    at: int
    more: bytes

    def of(self, whole: bytes) -> bytes:
        """What is left of them."""
        at = self.at % len(whole)
        head, tail = whole[:at], whole[at + 1 :]
        if self.act == "change":
            return head + bytes([whole[at] ^ max(1, self.more[0])]) + tail
        return head + {"cut": b"", "drop": tail, "add": self.more + whole[at:]}[self.act]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)

NESTED = st.recursive(st.integers() | st.text() | st.binary(), st.lists)

DAMAGE = st.builds(
    lambda *values: Damage(*values),
    st.sampled_from(["change", "cut", "drop", "add"]),
    st.integers(0, 400),
    st.binary(min_size=1, max_size=4),
)

SIGNED = st.sampled_from(["rawId", "clientDataJSON", "authenticatorData", "signature", "userHandle"])

few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def client(**said: Any) -> Change:
    """Other client data."""
    return lambda parts: parts.but(client=said)


def without(name: str) -> Change:
    """Client data without that."""
    return lambda parts: Parts(**{**vars(parts), "client": {k: v for k, v in parts.client.items() if k != name}})


def flags(value: int) -> Change:
    """Exactly these flags, beside that of attested data."""
    return lambda parts: parts.but(flags=value | (parts.flags & AT))


def sent(**said: Any) -> Change:
    """Other members of the JSON, at the end."""
    return lambda parts: parts.but(finish=lambda whole: {**whole, **said})


def response(name: str, act: Callable[[Any], Any]) -> Change:
    """Another member of `response`, at the end."""

    def finish(whole: dict[str, Any]) -> dict[str, Any]:
        return {**whole, "response": {**whole["response"], name: act(whole["response"].get(name))}}

    return lambda parts: parts.but(finish=finish)


def inside(name: str, act: Callable[[bytes], bytes]) -> Change:
    """Other bytes in that member of `response`, after it was signed."""
    return response(name, lambda text: encoded(act(decoded(text))))


BOTH: Final[dict[str, Change]] = {
    "no challenge": without("challenge"),
    "no type": without("type"),
    "no origin": without("origin"),
    "another challenge": client(challenge=encoded(secrets.token_bytes(32))),
    "an empty challenge": client(challenge=""),
    "a challenge that is no text": client(challenge=7),
    "a challenge with padding": lambda parts: parts.but(client={"challenge": parts.client["challenge"] + "="}),
    "a challenge cut off": lambda parts: parts.but(client={"challenge": parts.client["challenge"][:-4]}),
    "a challenge with a letter that means nothing": lambda parts: parts.but(
        client={"challenge": parts.client["challenge"] + "!"}
    ),
    "of the other ceremony": lambda parts: parts.but(
        client={"type": {"webauthn.get": "webauthn.create"}.get(parts.client["type"], "webauthn.get")}
    ),
    "of another kind": client(type="payment.get"),
    "another port": client(origin="http://localhost:1"),
    "another scheme": client(origin="https://localhost"),
    "a subdomain": client(origin="http://evil.localhost"),
    "a suffix": client(origin="http://localhost.evil.test"),
    "a path": lambda parts: parts.but(client={"origin": parts.client["origin"] + "/"}),
    "upper case": lambda parts: parts.but(client={"origin": parts.client["origin"].upper()}),
    "no origin at all": client(origin=None),
    "several origins": lambda parts: parts.but(client={"origin": [parts.client["origin"]]}),
    "an opaque origin": client(origin="null"),
    "in a frame of somebody": client(crossOrigin=True),
    "in a frame, said with a word": client(crossOrigin="false"),
    "in a frame, said with nothing": client(crossOrigin=None),
    "under another page": client(topOrigin="https://evil.test"),
    "another relying party": lambda parts: parts.but(rp_id="evil.test"),
    "a relying party above": lambda parts: parts.but(rp_id="test"),
    "nobody there": flags(UV),
    "nobody verified": flags(UP),
    "neither": flags(0),
    "backed up without leave": flags(UP | UV | BS),
    "extensions that are not there": flags(UP | UV | ED),
    "bytes after the end": lambda parts: parts.but(rest=parts.rest + b"\0"),
    "extensions that are none": lambda parts: parts.but(flags=parts.flags | ED, rest=parts.rest + b"\xff"),
    "another id": sent(id=encoded(b"another")),
    "another raw id": sent(rawId=encoded(b"another")),
    "another id, twice": sent(id=encoded(b"another"), rawId=encoded(b"another")),
    "no id": sent(id="", rawId=""),
    "an id that is no text": sent(id=7, rawId=7),
    "an id that is none": sent(id=None, rawId=None),
    "an id of too many bytes": sent(id=encoded(bytes(1_024)), rawId=encoded(bytes(1_024))),
    "another type": sent(type="password"),
    "no type at all": sent(type=None),
    "no response": sent(response=None),
    "a response that is a list": sent(response=[]),
    "an empty response": sent(response={}),
    "client data that is no JSON": inside("clientDataJSON", lambda data: data[:-1]),
    "client data that is a list": inside("clientDataJSON", lambda data: b"[]"),
    "client data that is empty": inside("clientDataJSON", lambda data: b""),
    "client data that says it twice": inside("clientDataJSON", lambda data: b'{"type":"x",' + data[1:]),
    "client data with a mark before": inside("clientDataJSON", lambda data: b"\xef\xbb\xbf" + data),
    "client data in other letters": inside("clientDataJSON", lambda data: data.decode().encode("utf-16")),
    "client data that is no text": response("clientDataJSON", lambda text: [text]),
    "client data with padding": response("clientDataJSON", lambda text: text + "=="),
    "client data in the old alphabet": response("clientDataJSON", lambda text: text + "+/"),
    "client data of many levels": inside("clientDataJSON", lambda data: b'{"a":' + b"[" * 5_000),
    "a whole that is too long": sent(more="x" * authenticators.LONGEST),
    "a list": lambda parts: parts.but(finish=lambda whole: [whole]),
    "a text": lambda parts: parts.but(finish=json.dumps),
    "nothing": lambda parts: parts.but(finish=lambda whole: None),
}
"""Lies that either ceremony may hear; each is everything but for one thing."""

GET: Final[dict[str, Change]] = {
    "another signature": inside("signature", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "a signature cut off": inside("signature", lambda data: data[:-1]),
    "a longer signature": inside("signature", lambda data: data + b"\0"),
    "no signature": inside("signature", lambda data: b""),
    "a signature that is none": response("signature", lambda text: None),
    "a number for a signature": response("signature", lambda text: 1),
    "data that was signed otherwise": inside("authenticatorData", lambda data: data[:36] + bytes([data[36] ^ 1])),
    "a higher counter than was signed": inside("authenticatorData", lambda data: data[:33] + b"\xff\xff\xff\xff"),
    "verified, which was not signed": inside("authenticatorData", lambda data: data[:32] + bytes([UP | UV | BE])),
    "data cut off": inside("authenticatorData", lambda data: data[:36]),
    "data that is empty": inside("authenticatorData", lambda data: b""),
    "data that is none": response("authenticatorData", lambda text: None),
    "a new passkey in it": lambda parts: parts.but(flags=parts.flags | AT),
    "another handle": response("userHandle", lambda text: encoded(b"another")),
    "a handle that is no text": response("userHandle", lambda text: {}),
}

CREATE: Final[dict[str, Change]] = {
    "no passkey in it": lambda parts: parts.but(flags=parts.flags & ~AT, rest=b""),
    "a passkey that is not said": lambda parts: parts.but(flags=parts.flags & ~AT),
    "a passkey cut off": lambda parts: parts.but(rest=parts.rest[:-1]),
    "half a passkey": lambda parts: parts.but(rest=parts.rest[:18]),
    "an id that is longer than all": lambda parts: parts.but(rest=bytes(16) + b"\xff\xff" + parts.rest[18:]),
    "no attestation": response("attestationObject", lambda text: None),
    "an empty attestation": inside("attestationObject", lambda data: b""),
    "an attestation cut off": inside("attestationObject", lambda data: data[:-1]),
    "an attestation that is a list": inside("attestationObject", lambda data: cbor2.dumps([])),
    "an attestation of many levels": inside("attestationObject", lambda data: b"\x81" * 9_000 + b"\x00"),
    "an attestation of itself": inside("attestationObject", lambda data: b"\xd8\x1c\x81\xd8\x1d\x00"),
    "a statement where none is": lambda parts: parts.but(statement={"sig": b"x", "alg": ES256}),
    "a statement that is wrong": lambda parts: parts.but(format="packed", statement={"sig": b"x", "alg": ES256}),
    "a statement without a signature": lambda parts: parts.but(format="packed", statement={"alg": ES256}),
    "a format that is no text": lambda parts: parts.but(format=7),
}


def key(**changes: Any) -> Change:
    """Another public key: members of the COSE key by their labels, `_1` for -1."""
    said = {-int(name[1:]) if name.startswith("_") else int(name[1:]): value for name, value in changes.items()}

    def change(parts: Parts) -> Parts:
        length = int.from_bytes(parts.rest[16:18], "big")
        mine = {**cbor2.loads(parts.rest[18 + length :]), **said}
        kept = {label: value for label, value in mine.items() if value is not None}
        return parts.but(rest=attested(parts.rest[18 : 18 + length], cbor2.dumps(kept)))

    return change


KEYS: Final[dict[str, Change]] = {
    "of an algorithm that is not listed": key(k3=-36),
    "of ML-DSA": key(k1=7, k3=-48, _1=bytes(1_312), _2=None, _3=None),
    "of RSA with SHA-1": key(k1=3, k3=-65_535, _1=b"\xff" * 256, _2=b"\1\0\1", _3=None),
    "of RSA with PSS": key(k1=3, k3=-37, _1=b"\xff" * 256, _2=b"\1\0\1", _3=None),
    "of RSA, too short": key(k1=3, k3=RS256, _1=b"\xff" * 128, _2=b"\1\0\1", _3=None),
    "of RSA, too long": key(k1=3, k3=RS256, _1=b"\xff" * 1_024, _2=b"\1\0\1", _3=None),
    "of RSA, with an even exponent": key(k1=3, k3=RS256, _1=b"\xff" * 256, _2=b"\2", _3=None),
    "without an algorithm": key(k3=None),
    "with an algorithm that is no number": key(k3="ES256"),
    "without a type": key(k1=None),
    "of a symmetric type": key(k1=4),
    "of EdDSA as if of ES256": key(k1=1, _1=6),
    "on another curve": key(_1=2),
    "not on its curve": key(_2=bytes(31) + b"\1"),
    "without a coordinate": key(_3=None),
    "with a coordinate that is no bytes": key(_2=[1]),
    "with a coordinate that is empty": key(_2=b""),
}


@pytest.mark.rule("WAN-02")
@pytest.mark.rule("WAN-04")
@pytest.mark.rule("WAN-05")
@pytest.mark.rule("WAN-06")
def test_no_lie_of_a_new_passkey_is_believed_and_nothing_is_stored(olivia: str, device: Authenticator) -> None:
    set_up(olivia, device)
    before, believed = state(), []
    for name, lie in (BOTH | CREATE | {f"a key {what}": change for what, change in KEYS.items()}).items():
        with_refusal = refusal(lambda lie=lie: offered(device.create(asked_to_create(olivia), lie), olivia))
        believed += [] if with_refusal and state() == before else [name]
    assert believed == []


@pytest.mark.rule("WAN-02")
@pytest.mark.rule("WAN-04")
@pytest.mark.rule("WAN-05")
def test_no_lie_of_a_passkey_is_believed_and_its_counter_stays(olivia: str, device: Authenticator) -> None:
    set_up(olivia, device)
    mine, before, believed = device.keys[0], state(), []
    for name, lie in (BOTH | GET).items():
        with_refusal = refusal(lambda lie=lie: given_answer(device.get(asked(), lie, key=mine)))
        believed += [] if with_refusal and state() == before else [name]
    assert believed == []
    assert given_answer(device.get(asked(), key=mine)).user_id == olivia


@pytest.mark.rule("WAN-02")
def test_a_lie_of_a_passkey_that_is_asked_for_is_not_believed_either(olivia: str, device: Authenticator) -> None:
    set_up(olivia, device)
    before = state()
    believed = [
        name
        for name, lie in (BOTH | GET).items()
        if not refusal(
            lambda lie=lie: given_answer(device.get(asked("confirm", user_id=olivia), lie), "confirm", user_id=olivia)
        )
    ]
    assert (believed, state()) == ([], before)


def refusal(act: Callable[[], object]) -> NotAccepted | None:
    """How `act` is refused; all refusals say the same."""
    try:
        act()
    except NotAccepted as refused:
        return refused if str(refused) == NotAccepted.title else None
    return None


@pytest.mark.rule("WAN-05")
def test_what_the_browser_says_of_the_options_is_not_read(olivia: str, device: Authenticator) -> None:
    """Members that say what was asked for set no rule, neither way."""
    said = {"userVerification": "discouraged", "rpId": "evil.test", "pubKeyCredParams": [{"alg": -65_535}]}
    ours = {"authenticatorAttachment": "made-up", "clientExtensionResults": {"appid": True}, **said}
    set_up(olivia, device, change=sent(**ours))
    assert given_answer(device.get(asked(), sent(**ours))).user_id == olivia
    with pytest.raises(NotAccepted):
        given_answer(device.get(asked(), lambda parts: parts.but(flags=UP, sent={**parts.sent, **ours})))


@pytest.mark.rule("WAN-02")
@few
@given(
    member=st.sampled_from(["rawId", "clientDataJSON", "authenticatorData", "signature", "userHandle"]), damage=DAMAGE
)
def test_whatever_is_changed_in_an_assertion_it_is_refused(
    olivia: str, device: Authenticator, member: str, damage: Damage
) -> None:
    mine = device.keys[0] if device.keys else fresh(olivia, device)
    before = state()
    answer = json.loads(device.get(asked(), key=mine))
    holder = answer if member == "rawId" else answer["response"]
    holder[member] = encoded(damage.of(decoded(holder[member])))
    answer["id"] = answer["rawId"]
    assert refusal(lambda: given_answer(json.dumps(answer)))
    assert state() == before


@pytest.mark.rule("WAN-02")
@few
@given(member=st.sampled_from(["clientDataJSON", "authData", "sig"]), damage=DAMAGE)
def test_whatever_is_changed_in_a_new_passkey_that_signs_itself_it_is_refused(
    olivia: str, device: Authenticator, member: str, damage: Damage
) -> None:
    before = state()
    answer = json.loads(device.create(asked_to_create(olivia), self_attested(device)))
    whole = cbor2.loads(decoded(answer["response"]["attestationObject"]))
    if member == "clientDataJSON":
        answer["response"][member] = encoded(damage.of(decoded(answer["response"][member])))
    elif member == "authData":
        whole["authData"] = damage.of(whole["authData"])
    else:
        whole["attStmt"]["sig"] = damage.of(whole["attStmt"]["sig"])
    answer["response"]["attestationObject"] = encoded(cbor2.dumps(whole))
    assert refusal(lambda: offered(json.dumps(answer), olivia))
    assert state() == before


@pytest.mark.rule("WAN-04")
@few
@given(data=st.data())
def test_whatever_stands_in_the_place_of_something_it_is_refused_and_nothing_breaks(
    olivia: str, device: Authenticator, data: st.DataObject
) -> None:
    mine = device.keys[0] if device.keys else fresh(olivia, device)
    before = state()
    for kind in ("get", "create"):
        sent = device.get(asked(), key=mine) if kind == "get" else device.create(asked_to_create(olivia))
        answer = json.loads(sent)
        needed = ["id", "rawId", "type", "response"]
        place = data.draw(st.sampled_from([*needed, *(one for one in answer["response"] if one != "transports")]))
        holder = answer if place in needed else answer["response"]
        known = copy.deepcopy(holder[place])
        holder[place] = data.draw(ANYTHING.filter(lambda value, known=known: value != known))
        if place == "userHandle" and holder[place] is None:
            continue
        act = given_answer if kind == "get" else lambda text: offered(text, olivia)
        assert refusal(lambda act=act, answer=answer: act(json.dumps(answer)))
    assert state() == before


@pytest.mark.rule("WAN-04")
@few
@given(text=st.text() | st.binary().map(lambda value: value.decode("latin-1")))
def test_whatever_is_no_answer_is_refused(olivia: str, text: str) -> None:
    for act in (given_answer, lambda text: offered(text, olivia)):
        assert refusal(lambda act=act: act(text))  # type: ignore[misc]


@few
@given(
    attestation=st.binary(max_size=300)
    | st.recursive(st.integers() | st.text() | st.binary(), st.lists).map(cbor2.dumps)
)
def test_whatever_stands_for_an_attestation_is_refused(olivia: str, device: Authenticator, attestation: bytes) -> None:
    change = inside("attestationObject", lambda _: attestation)
    assert refusal(lambda: offered(device.create(asked_to_create(olivia), change), olivia))


def fresh(user_id: str, device: Authenticator) -> Key:
    """The passkey that the person has now."""
    set_up(user_id, device)
    return device.keys[0]
