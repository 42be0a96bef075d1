"""Claims about people: what each scope releases, in which type and language, and what can be asked for by name."""

import json
from typing import Any

import pytest
from flask import Flask

from idp.oauth import claims, contexts
from idp.oauth.claims import OF_SCOPE, Wishes
from idp.oauth.claims_request import ClaimsRequest
from idp.organizations import domains, memberships, proven_addresses
from idp.organizations.effective import Context
from idp.platform import database
from idp.users import addresses, users
from idp.users.users import UserSettings
from tests.oauth.issuing import authorized, id_token, issuance_for, shop
from tests.oauth.minting import ACCESS, ID, make_keys
from tests.organizations.actors import ACME, DAN, DE, act
from tests.traces import OPERATOR

EVERYTHING: dict[str, Any] = {
    "name": "Ada Lovelace",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "middle_name": "Augusta",
    "nickname": "A",
    "preferred_username": "countess",
    "profile": "https://ada.example.com/",
    "picture": "https://ada.example.com/me.png",
    "website": "https://example.com/",
    "gender": "female",
    "birthdate": "1815-12-10",
    "zoneinfo": "Europe/London",
    "locale": "en-GB",
    "updated_at": 1_700_000_000,
    "address": {"formatted": "12 St James's Square\nLondon", "country": "UK"},
    "phone_number": "+44 20 79460000",
    "phone_number_verified": True,
}
NAMES = {name for names in OF_SCOPE.values() for name in names}


@pytest.fixture
def ada(app: Flask) -> str:
    """The id of a person who has told everything about herself."""
    return _person("ada", EVERYTHING, email="ada@example.com")


def _person(username: str, said: dict[str, Any], *, email: str = "", verified: bool = True) -> str:
    with database.writing():
        return users.create(UserSettings(username, said), email=email, verified=verified, by=OPERATOR).id


def told(user_id: str, *scopes: str, locales: tuple[str, ...] = ()) -> dict[str, Any]:
    """What these scopes release, as JSON shows it."""
    names = set[str]().union(*(OF_SCOPE[scope] for scope in scopes))
    said: dict[str, Any] = json.loads(json.dumps(claims.of_person(user_id, names, locales)))
    return said


def test_each_scope_releases_its_claims_in_their_types(ada: str) -> None:
    email = {"email": "ada@example.com", "email_verified": True}
    assert told(ada, "email") == email
    assert told(ada, "address") == {"address": EVERYTHING["address"]}
    assert told(ada, "phone") == {name: EVERYTHING[name] for name in ("phone_number", "phone_number_verified")}
    of_profile = {name: EVERYTHING[name] for name in OF_SCOPE["profile"]}
    assert len(of_profile) == 14
    assert told(ada, "profile") == of_profile
    assert told(ada, "profile", "email", "address", "phone") == EVERYTHING | email
    assert claims.of_person(ada, ()) == {}


def test_what_is_not_known_is_left_out(app: Flask) -> None:
    nobody = _person("bob", {})
    said = told(nobody, "profile", "email", "address", "phone")
    assert said.keys() == {"preferred_username", "updated_at"}
    assert said["preferred_username"] == "bob"
    assert isinstance(said["updated_at"], int)
    assert claims.of_person("usr_nobody", NAMES) == {}


def test_a_name_is_put_together_where_only_its_parts_are_known(app: Flask) -> None:
    both, one = _person("a", {"given_name": "Ada", "family_name": "Byron"}), _person("b", {"given_name": "Ada"})
    assert (told(both, "profile")["name"], told(one, "profile")["name"]) == ("Ada Byron", "Ada")


def test_what_people_are_known_by_elsewhere_is_not_told_by_their_username(app: Flask) -> None:
    by_address = _person("carl@example.com", {}, email="carl@example.com")
    dora = _person("dora@example.com", {}, email="dora@example.com")
    eric = _person("eric", {})
    with database.writing():  # who loses the address that was their username is called by their id
        addresses.give("dora@example.com", users.find(eric), released=lambda _: True, by=OPERATOR)
    assert users.find(dora).username == dora
    for person in (by_address, dora):
        assert "preferred_username" not in told(person, "profile")


@pytest.mark.parametrize("verified", [True, False])
def test_a_telephone_number_is_verified_where_that_was_said(app: Flask, verified: bool) -> None:
    number = {"phone_number": "+1 425 5550100"}
    said = {"phone_number_verified": True} if verified else {}
    assert told(_person("a", number | said), "phone") == {**number, "phone_number_verified": verified}
    assert told(_person("b", said), "phone") == {}


def test_an_address_is_verified_where_it_counts_as_proven(acme: Flask) -> None:
    domain = act(domains.claim, ACME, "acme.test")
    inside, outside = _person("in", {}, email="in@acme.test"), _person("out", {}, email="out@acme.test")
    plain = _person("plain", {}, email="plain@acme.test", verified=False)
    member = act(memberships.add, ACME, memberships.NewMember(inside))
    suspended = _person("gone", {}, email="gone@acme.test")
    gone = act(memberships.add, ACME, memberships.NewMember(suspended))
    act(memberships.suspend, ACME, gone.id)
    people = (inside, outside, plain, suspended)
    assert [told(one, "email")["email_verified"] for one in people] == [True, True, False, True]
    act(domains.confirm, ACME, domain.id)
    assert [told(one, "email")["email_verified"] for one in people] == [True, False, False, False]
    for one in people:
        (held,) = addresses.of(one)
        assert proven_addresses.counts(held) == told(one, "email")["email_verified"]
    act(memberships.remove, ACME, member.id)
    assert told(inside, "email")["email_verified"] is False
    act(domains.release, ACME, domain.id)
    assert [told(one, "email")["email_verified"] for one in people] == [True, True, False, True]


def test_the_primary_address_is_the_one_that_is_told(ada: str) -> None:
    with database.writing():
        other = addresses.add(users.find(ada), "ada@other.example.com", verified=True, by=OPERATOR)
    assert told(ada, "email")["email"] == "ada@example.com"
    with database.writing():
        addresses.make_primary(users.find(ada), addresses.find(ada, other.address), by=OPERATOR)
    assert told(ada, "email")["email"] == "ada@other.example.com"


# Languages (§5.2)

SPOKEN = {"family_name": "Lovelace", "family_name#ja-Kana-JP": "ラブレス", "family_name#de": "Liebleer", "gender": "f"}


@pytest.mark.parametrize(
    ("locales", "said"),
    [
        ((), {"family_name": "Lovelace"}),
        (("de",), {"family_name": "Liebleer"}),
        (("de-AT",), {"family_name": "Liebleer"}),
        (("JA-kana-jp",), {"family_name": "ラブレス"}),
        (("ja",), {"family_name": "Lovelace"}),
        (("fr",), {"family_name": "Lovelace"}),
        (("fr", "de"), {"family_name": "Lovelace", "family_name#de": "Liebleer"}),
        (
            ("ja-Kana-JP", "de"),
            {"family_name": "Lovelace", "family_name#ja-Kana-JP": "ラブレス", "family_name#de": "Liebleer"},
        ),
    ],
)
def test_claims_come_in_the_language_that_is_wished_for(
    app: Flask, locales: tuple[str, ...], said: dict[str, str]
) -> None:
    person = _person("ada", SPOKEN)
    found = claims.of_person(person, {"family_name", "gender"}, locales)
    assert found == {**said, "gender": "f"}


def test_a_claim_can_be_asked_for_in_one_language(app: Flask) -> None:
    person = _person("ada", SPOKEN)
    assert claims.of_person(person, {"family_name#de"}) == {"family_name#de": "Liebleer"}
    assert claims.of_person(person, {"family_name#fr"}) == {}


# What is asked for by name (§5.5)


def test_wishes_are_read_back_as_they_were_stored() -> None:
    wishes = Wishes(ClaimsRequest({"name": {}}, {"email": {"essential": True}}), ("de", "fr"))
    assert Wishes.load(wishes.dump()) == wishes
    assert Wishes.load("{}") == Wishes()


def test_claims_asked_for_stand_for_the_scopes_that_release_them() -> None:
    assert claims.scopes_behind(()) == set()
    assert claims.scopes_behind(("sub", "acr", "org_id", "nonsense")) == set()
    assert claims.scopes_behind(("family_name#de", "email_verified")) == {"profile", "email"}
    assert claims.scopes_behind(claims.SUPPORTED) == OF_SCOPE.keys()


def test_userinfo_tells_what_the_scope_releases_and_what_was_asked_for_there(ada: str) -> None:
    client = shop()
    wishes = Wishes(ClaimsRequest(id_token={"gender": {}}, userinfo={"website": {}, "email": {"essential": True}}))
    plain, asked = authorized(client, ada), authorized(client, ada, wishes=wishes)
    assert claims.userinfo(plain, client, ("openid",), contexts.NOWHERE) == {"sub": ada}
    assert claims.userinfo(plain, client, ("openid", "phone"), contexts.NOWHERE) == {"sub": ada} | told(ada, "phone")
    assert claims.userinfo(asked, client, ("openid",), contexts.NOWHERE) == {
        "sub": ada,
        "website": "https://example.com/",
        "email": "ada@example.com",
    }


def test_userinfo_says_where_its_person_acts(acme: Flask) -> None:
    context = Context(ACME, DE)
    for scope, first_party, roles in (
        ("openid", False, {}),
        ("openid roles", False, {"org_roles": ["developer"]}),
        ("openid", True, {"org_roles": ["developer"]}),
    ):
        client = shop(f"app_{len(scope)}{first_party}", first_party=first_party)
        authorization = authorized(client, DAN.id, context, scope=scope)
        entered = contexts.enter_again(authorization, client)
        said = claims.userinfo(authorization, client, scope.split(), entered)
        assert said == {"sub": DAN.id, "org_id": ACME, "account_id": DE, **roles}


def test_the_id_token_tells_only_what_was_asked_for_there_unless_all_is_registered(ada: str) -> None:
    make_keys(ACCESS, ID)
    wishes = Wishes(ClaimsRequest(id_token={"gender": None or {}}, userinfo={"website": {}}))
    plain = shop("app_plain", id_token_signed_response_alg="ES256")
    full = shop("app_full", id_token_signed_response_alg="ES256", claims_in_id_token=True)
    scope = "openid email address"
    about = NAMES | {"gender"}
    assert not id_token(issuance_for(plain, authorized(plain, ada, scope=scope))).keys() & about
    said = id_token(issuance_for(plain, authorized(plain, ada, scope=scope, wishes=wishes)))
    assert said.keys() & about == {"gender"}
    said = id_token(issuance_for(full, authorized(full, ada, scope=scope)))
    assert said.keys() & about == {"email", "email_verified", "address"}
