"""`idp token preview`: what tokens would say, without anybody signing in."""

from typing import Any

import pytest
from sqlalchemy import func, select

from idp.app import start
from idp.audit.models import Entry
from idp.clients import clients
from idp.oauth import active_clients, contexts, issuance
from idp.oauth.models import Authorization
from idp.organizations.effective import Context
from idp.organizations.scopes import organization_named
from idp.platform import database
from idp.users import users
from tests.cli.conftest import Idp
from tests.oauth.actors import claims_of
from tests.oauth.issuing import authorized, issuance_for
from tests.oauth.minting import ACCESS, ID, make_keys
from tests.traces import OPERATOR

PAYMENTS = "https://payments.example.com"
OF_A_MOMENT = ("iat", "exp", "jti", "sid", "auth_time", "at_hash")


@pytest.fixture
def northwind(idp: Idp) -> str:
    """Northwind with a developer, an account, an API, a shop and a robot; and keys."""
    start()
    make_keys(ACCESS, ID)
    for name in ("olivia", "ben"):
        idp("user", "create", name, "--email", f"{name}@northwind.test", "--email-verified")
    idp("org", "create", "northwind", "--owner", "olivia", "--name", "Northwind")
    idp("account", "create", "northwind/eu-shop", "--country", "DE")
    idp("member", "create", "northwind", "ben")
    idp("grant", "create", "ben", "developer", "northwind/eu-shop")
    idp("api", "create", PAYMENTS, "--scope", "payments", "--permission", "payments.read=developer")
    said = [f'resources=["{PAYMENTS}"]', "id_token_signed_response_alg=ES256"]
    sets = [word for one in said for word in ("--set", one)]
    uri = ("--redirect-uri", "https://shop.example.com/cb")
    idp("client", "create", "shop", *uri, *sets, "--context", "account", "--first-party")
    idp("client", "create", "sector", *uri, "--set", "subject_type=pairwise")
    idp("client", "create", "robot", "--set", 'grant_types=["client_credentials"]', *sets[:2])
    return organization_named("northwind")


def lasting(said: dict[str, Any]) -> dict[str, Any]:
    """What another token would say too."""
    return {name: value for name, value in said.items() if name not in OF_A_MOMENT}


def test_a_preview_says_what_the_tokens_say(idp: Idp, northwind: str) -> None:
    shown = idp("token", "preview", "shop", "--user", "ben", "--scope", "openid email payments").json
    client = active_clients.find("shop")
    assert client
    (account,) = idp("account", "list", "northwind").json
    authorization = authorized(
        client,
        users.named("ben").id,
        Context(northwind, account["id"]),
        scope="openid email payments",
        resources=(PAYMENTS,),
    )
    answer = issuance.issue(issuance_for(client, authorization))
    assert lasting(shown["access_token"]) == lasting(claims_of(str(answer["access_token"])))
    assert lasting(shown["id_token"]) == lasting(claims_of(str(answer["id_token"])))
    assert shown["access_token"]["roles"] == ["developer"]
    assert shown["access_token"]["permissions"] == ["payments.read"]
    assert shown["userinfo"]["email"] == "ben@northwind.test"
    assert shown["userinfo"]["account_id"] == account["id"]


def test_a_preview_for_a_machine_needs_nobody(idp: Idp, northwind: str) -> None:
    shown = idp("token", "preview", "robot").json
    assert shown.keys() == {"access_token"}
    assert shown["access_token"]["sub"] == "robot"
    assert (shown["access_token"]["aud"], shown["access_token"]["scope"]) == (PAYMENTS, "payments")
    idp("grant", "create", "client:robot", "developer", "northwind")
    shown = idp("token", "preview", "robot", "--context", "northwind/eu-shop").json
    assert shown["access_token"]["roles"] == ["developer"]


def test_a_preview_leaves_nothing_behind(idp: Idp, northwind: str) -> None:
    counts = [select(func.count()).select_from(table) for table in (Authorization, Entry)]
    before = [database.session().scalar(count) for count in counts]
    shown = idp("token", "preview", "sector", "--user", "ben").json
    assert shown["access_token"]["sub"].startswith("sub_")
    assert shown["access_token"]["scope"] == "openid profile email"
    assert [database.session().scalar(count) for count in counts] == before
    sector = active_clients.find("sector")
    assert sector
    assert contexts.enter(users.named("ben").id, None, sector) == contexts.NOWHERE


def test_a_preview_is_refused_where_tokens_would_be(idp: Idp, northwind: str) -> None:
    idp("account", "create", "northwind/us-shop", "--country", "US")
    for words, error in (
        (("nothing",), "not_found"),
        (("shop", "--user", "nobody"), "not_found"),
        (("shop", "--user", "olivia"), "invalid_request"),
        (("shop", "--user", "olivia", "--context", "northwind"), "invalid_request"),
        (("shop",), "unauthorized_client"),
        (("robot", "--user", "ben"), "unauthorized_client"),
        (("shop", "--user", "ben", "--context", "northwind/us-shop"), "invalid_target"),
        (("shop", "--user", "ben", "--resource", "https://other.example.com"), "invalid_target"),
        (("sector", "--user", "ben", "--context", "northwind"), "invalid_target"),
        (("robot", "--scope", "refunds"), "invalid_scope"),
        (("robot", "--context", "northwind"), "invalid_target"),
    ):
        assert idp("token", "preview", *words, status=1).json["error"] == error, words
    idp("group", "create", "northwind/eu", "--name", "EU")
    idp("token", "preview", "shop", "--user", "ben", "--context", "northwind/group:eu", status=1)
    with database.writing():
        clients.disable(clients.named("shop"), by=OPERATOR)
    idp("token", "preview", "shop", "--user", "ben", status=1)


def test_a_preview_leaves_out_what_a_token_has_no_room_for(idp: Idp, northwind: str) -> None:
    many = [word for number in range(100) for word in ("--permission", f"permission.{number:050}=developer")]
    idp("api", "update", PAYMENTS, *many)
    shown = idp("token", "preview", "shop", "--user", "ben").json["access_token"]
    assert shown["permissions_omitted"] is True
    assert "permissions" not in shown


def test_people_read_a_preview_part_by_part(idp: Idp, northwind: str) -> None:
    words = idp("token", "preview", "shop", "--user", "ben", as_json=False).stdout
    assert [line for line in words.splitlines() if line and line[0] not in " {}"] == [
        "access_token",
        "id_token",
        "userinfo",
    ]
