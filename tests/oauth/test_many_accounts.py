"""Somebody with 5,000 accounts: a token says what is held in one of them, and costs what it costs anybody."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask

from idp.app import start
from idp.clients.clients import ClientContext
from idp.oauth import issuance
from idp.oauth.issuance import Issuance
from idp.organizations import accounts, effective, grants, memberships, organizations, scopes
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.effective import Context
from idp.organizations.grants import Grantee, Wanted
from idp.organizations.memberships import NewMember
from idp.organizations.models import RoleGrant
from idp.organizations.organizations import OrganizationSettings
from idp.platform import bulk, clock, database
from idp.platform.prepared import Prepared
from idp.users import users
from idp.users.users import UserSettings
from tests.oauth import issuing
from tests.oauth.actors import claims_of
from tests.oauth.issuing import PAYMENTS
from tests.oauth.minting import ACCESS, ID, make_keys
from tests.traces import OPERATOR

MANY, FEW = 5_000, 2


@dataclass(frozen=True)
class Somebody:
    """A person who is a developer on each of the accounts of an organization, one of which is `account_id`."""

    id: str
    organization_id: str
    account_id: str


@pytest.fixture
def people(app: Flask) -> dict[int, Somebody]:
    """Somebody with `MANY` accounts and somebody with `FEW`, by that number."""
    start()
    make_keys(ACCESS, ID)
    with database.writing():
        return {number: _somebody(number) for number in (MANY, FEW)}


def _somebody(number: int) -> Somebody:
    owner, person = (users.create(UserSettings(f"{word}-{number}"), by=OPERATOR).id for word in ("owner", "person"))
    settings = OrganizationSettings(f"o{number}", f"O{number}")
    organization_id = organizations.found(settings, owner, by=OPERATOR).id
    member = memberships.add(organization_id, NewMember(person), by=OPERATOR)
    wanted = [NewAccount(AccountSettings(f"a{one}", f"A{one}", "DE"), livemode=True) for one in range(number)]
    ids = accounts.open_many(organization_id, wanted, by=OPERATOR)
    everywhere = scopes.of_accounts(organization_id, list(ids))
    grantee = Grantee("member", member.id)
    grants.grant_many([Wanted(grantee, "developer", scope) for scope in everywhere], by=OPERATOR)
    bulk.analyze(RoleGrant)
    return Somebody(person, organization_id, everywhere[-1].account_id)


def issuances(people: dict[int, Somebody]) -> dict[int, Callable[[], Issuance]]:
    """For each of them, what makes an issuance for their account anew: entering it asks what is held there."""
    issuing.api(PAYMENTS, "payments")
    client = issuing.shop(
        context=ClientContext("account"),
        first_party=True,
        resources=[PAYMENTS],
        id_token_signed_response_alg="ES256",
    )

    def maker(somebody: Somebody) -> Callable[[], Issuance]:
        context = Context(somebody.organization_id, somebody.account_id)
        decided = issuing.authorized(
            client, somebody.id, context, scope="openid payments offline_access", resources=(PAYMENTS,)
        )
        return lambda: issuing.issuance_for(client, decided)

    return {number: maker(somebody) for number, somebody in people.items()}


@pytest.mark.rule("JWT-10")
def test_a_token_for_one_of_5000_accounts_is_as_short_and_as_soon_issued_as_for_one_of_two(
    people: dict[int, Somebody],
) -> None:
    makers = issuances(people)
    many, few = issued(makers[MANY]), issued(makers[FEW])
    said = claims_of(many.token)
    assert (said["account_id"], said["account_roles"]) == (people[MANY].account_id, ["developer"])
    assert len(many.token) <= 1024
    assert abs(len(many.token) - len(few.token)) <= 8
    assert many.statements == few.statements
    assert [sql for sql in many.statements if "role_grants" in sql] == [effective._ROLES.sql()]
    assert ratio(makers) < 1.2


@dataclass(frozen=True)
class Issued:
    """An access token, and the statements that it took."""

    token: str
    statements: list[str]


def issued(make: Callable[[], Issuance]) -> Issued:
    """A token, and what it takes once the keys are known."""
    issuance.issue(make())
    statements, run = list[str](), Prepared._run

    def running(statement: Prepared[object], values: dict[str, object]) -> object:
        statements.append(statement.sql())
        return run(statement, values)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Prepared, "_run", running)
        return Issued(str(issuance.issue(make())["access_token"]), statements)


def ratio(makers: dict[int, Callable[[], Issuance]]) -> float:
    """How much longer it takes with many accounts, in alternation; the best of a few tries, as others are busy."""
    tries = []
    for _ in range(5):
        spent: dict[int, list[float]] = {MANY: [], FEW: []}
        for _ in range(50):
            for number, make in makers.items():
                began = clock.monotonic()
                issuance.issue(make())
                spent[number].append(clock.monotonic() - began)
        tries.append(statistics.median(spent[MANY]) / statistics.median(spent[FEW]))
    print(f"5,000 accounts against 2: {', '.join(f'{one:.2f}' for one in tries)}")
    return min(tries)
