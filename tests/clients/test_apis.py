"""APIs: what they declare, who holds it, and what the feed says when something is taken away."""

import threading
from collections.abc import Mapping

import pytest
from flask import Flask
from sqlalchemy import func, select

from idp.clients import apis, declaration
from idp.clients.apis import AS_ISSUER, ApiSettings, ScopeSettings
from idp.clients.declaration import RoleFile
from idp.clients.models import Api, ApiPermission, ApiPermissionHolder
from idp.platform import clock, database
from idp.platform.errors import Conflict, Invalid, NotFound
from idp.platform.settings import settings
from tests import databases
from tests.traces import OPERATOR, events, losses

PAYMENTS = "https://payments.example.com"
Held = dict[str, dict[str, tuple[int, int]]]


def declare(permissions: Mapping[str, tuple[str, ...] | None], *scopes: ScopeSettings, audience: str = PAYMENTS) -> str:
    with database.writing():
        return apis.declare(ApiSettings(audience, "Payments", scopes, permissions), by=OPERATOR).id


def declare_own(declared: RoleFile | None = None) -> None:
    with database.writing():
        apis.declare_own(declared or declaration.shipped(), settings().issuer)


def holders(audience: str = PAYMENTS) -> Held:
    """Permission → role → (live, sandbox), as the tables hold it now."""
    database.session().rollback()
    rows = database.session().scalars(
        select(ApiPermissionHolder)
        .join(Api, Api.id == ApiPermissionHolder.api_id)
        .where(Api.audience == audience, Api.ended_at.is_(None), ApiPermissionHolder.ended_at.is_(None))
    )
    held: Held = {}
    for row in rows:
        held.setdefault(row.permission, {})[row.role_key] = (row.live, row.sandbox)
    return held


def without(role: str, permission: str) -> RoleFile:
    """The shipped file, less one permission of one role in live accounts."""
    shipped = declaration.shipped()
    roles = [
        type(one)(
            one.key,
            one.may_grant,
            one.sensitive,
            one.demands,
            one.live - {permission} if one.key == role else one.live,
            one.sandbox,
        )
        for one in shipped.roles
    ]
    return RoleFile(shipped.permissions, tuple(roles), shipped.every_member, shipped.privileged)


def test_named_holders_hold_in_both_modes_and_the_top_roles_hold_everything(app: Flask) -> None:
    declare({"refunds.write": ("refund_analyst",), "secret.read": ()})
    top = {"super_admin": (1, 1), "admin": (1, 1)}
    assert holders() == {"refunds.write": {"refund_analyst": (1, 1), **top}, "secret.read": top}


def test_a_bare_name_is_held_by_whom_the_issuer_names_in_the_modes_named_there(app: Flask) -> None:
    declare({"refunds.write": AS_ISSUER, "accounts.move": AS_ISSUER, "planes.fly": AS_ISSUER})
    held = holders()
    assert held["refunds.write"]["sandbox_user"] == (0, 1)
    assert held["refunds.write"]["developer"] == (1, 1)
    assert held["accounts.move"] == held["planes.fly"] == {"super_admin": (1, 1), "admin": (1, 1)}


def test_the_issuers_own_declaration_alone_decides_at_its_audience(app: Flask) -> None:
    declare_own()
    held = holders(settings().issuer)
    assert set(held) == set(declaration.shipped().permissions)
    assert held["accounts.move"] == {"super_admin": (1, 1)}
    assert held["sandboxes.read"]["sandbox_user"] == (1, 1)
    assert held["payments.write"]["sandbox_user"] == (0, 1)
    with pytest.raises(Conflict):
        declare({}, audience=settings().issuer)
    with pytest.raises(Conflict), database.writing():
        apis.withdraw(apis.find(settings().issuer), by=OPERATOR)


def test_declaring_twice_changes_nothing(app: Flask) -> None:
    declare_own()
    first = declare({"refunds.write": AS_ISSUER, "a.b": ("analyst",)}, ScopeSettings("payments", "Pay"))
    wanted = apis.settings_of(apis.find(first))
    rows = _rows()
    declare_own()
    with database.writing():
        assert apis.declare(wanted, by=OPERATOR).id == first
    assert _rows() == rows
    assert events(first) == ["api.created"]
    assert losses() == []
    assert wanted == ApiSettings(
        PAYMENTS, "Payments", (ScopeSettings("payments", "Pay"),), {"refunds.write": None, "a.b": ("analyst",)}
    )


def _rows() -> list[int]:
    database.session().rollback()
    return [
        database.session().execute(select(func.count()).select_from(table)).scalar_one()
        for table in (Api, ApiPermission, ApiPermissionHolder)
    ]


@pytest.mark.parametrize(
    ("after", "lost"),
    [
        ({"a.read": ("analyst",), "b.read": AS_ISSUER}, False),
        ({"a.read": ("analyst", "developer"), "refunds.write": AS_ISSUER}, False),
        ({"a.read": (), "refunds.write": AS_ISSUER}, True),
        ({"a.read": ("analyst",)}, True),
        ({"a.read": ("analyst",), "refunds.write": ("sandbox_user",)}, True),
    ],
)
def test_only_what_takes_something_away_supersedes_tokens(
    app: Flask, after: dict[str, tuple[str, ...] | None], lost: bool
) -> None:
    before: dict[str, tuple[str, ...] | None] = {"a.read": ("analyst",), "refunds.write": AS_ISSUER}
    if "b.read" in after:
        before = {"a.read": ("analyst",)}
    declare(before)
    changed = declare(after)
    assert losses() == ([("api", {"aud": PAYMENTS})] if lost else [])
    assert events(changed) == ["api.created", "api.changed"]


def test_a_role_that_gains_a_mode_loses_nothing_and_history_has_no_gap(app: Flask) -> None:
    declare({"refunds.write": AS_ISSUER})
    declare({"refunds.write": ("sandbox_user", *_issuers_holders())})
    assert losses() == []
    rows = database.session().scalars(
        select(ApiPermissionHolder)
        .where(ApiPermissionHolder.role_key == "sandbox_user")
        .order_by(ApiPermissionHolder.started_at)
    )
    first, second = rows
    assert (first.live, second.live) == (0, 1)
    assert first.ended_at == second.started_at <= clock.now()


def _issuers_holders() -> list[str]:
    return [role.key for role in declaration.shipped().roles if "refunds.write" in role.live | role.sandbox]


def test_a_scope_that_goes_supersedes_tokens_and_new_words_do_not(app: Flask) -> None:
    declare({}, ScopeSettings("pay", "Pay"), ScopeSettings("look", "Look"))
    declare({}, ScopeSettings("pay", "Pay something"), ScopeSettings("look", "Look"))
    assert losses() == []
    changed = declare({}, ScopeSettings("pay", "Pay something"))
    assert losses() == [("api", {"aud": PAYMENTS})]
    assert apis.settings_of(apis.find(changed)).scopes == (ScopeSettings("pay", "Pay something"),)


def test_a_release_that_narrows_a_role_narrows_it_wherever_the_name_is_declared_bare(app: Flask) -> None:
    declare_own()
    bare = declare({"refunds.write": AS_ISSUER})
    declare({"refunds.write": ("refund_analyst",)}, audience="https://other.example.com")
    declare_own(without("refund_analyst", "refunds.write"))
    assert holders()["refunds.write"]["refund_analyst"] == (0, 1)
    assert holders(settings().issuer)["refunds.write"]["refund_analyst"] == (0, 1)
    assert holders("https://other.example.com")["refunds.write"]["refund_analyst"] == (1, 1)
    assert sorted(match["aud"] for _, match in losses()) == sorted([settings().issuer, PAYMENTS])
    assert events(bare)[-1] == "api.changed"


def test_nodes_that_start_at_once_declare_once(app: Flask) -> None:
    together, failures = threading.Barrier(4), list[BaseException]()

    def start() -> None:
        with app.app_context():
            together.wait()
            try:
                declare_own()
            except BaseException as error:
                failures.append(error)
            finally:
                databases.db.session.remove()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [api.audience for api in apis.everything()] == [settings().issuer]
    assert events() == ["api.created"]


@pytest.mark.rule("ORG-07")
def test_an_api_declared_again_under_its_audience_is_another_one(app: Flask) -> None:
    first = declare({"a.read": ("analyst",)}, ScopeSettings("pay"))
    for _ in range(2):
        with database.writing():
            api = database.session().get(Api, first)
            assert api
            apis.withdraw(api, by=OPERATOR)
    with pytest.raises(NotFound):
        apis.find(PAYMENTS)
    assert holders() == {}
    assert losses() == [("api", {"aud": PAYMENTS})]
    assert events(first) == ["api.created", "api.deleted"]
    assert declare({}) != first
    assert holders() == {}
    with pytest.raises(Conflict), database.writing():
        apis.declare(ApiSettings("https://new.example.com", "New"), by=OPERATOR, id=first)


@pytest.mark.parametrize(
    "wanted",
    [
        ApiSettings("payments", "Payments"),
        ApiSettings("https://payments.example.com#x", "Payments"),
        ApiSettings("https://payments.example.com/a b", "Payments"),
        ApiSettings("https://[::1", "Payments"),
        ApiSettings("https://ex\u00e4mple.com", "Payments"),
        ApiSettings("https://payments.example.com/" + "a" * 250, "Payments"),
        ApiSettings(PAYMENTS, " "),
        ApiSettings(PAYMENTS, "a\u202eb"),
        ApiSettings(PAYMENTS, "Payments", (ScopeSettings("two words"),)),
        ApiSettings(PAYMENTS, "Payments", (ScopeSettings("pay"), ScopeSettings("pay"))),
        ApiSettings(PAYMENTS, "Payments", (), {"": ()}),
        ApiSettings(PAYMENTS, "Payments", (), {"a b": ()}),
        ApiSettings(PAYMENTS, "Payments", (), {"a.read": ("x_custom",)}),
        ApiSettings(PAYMENTS, "Payments", (), {"a.read": ("nobody",)}),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused_whole(app: Flask, wanted: ApiSettings) -> None:
    with pytest.raises(Invalid), database.writing():
        apis.declare(wanted, by=OPERATOR)
    assert apis.everything() == []


def test_an_urn_is_an_audience_too(app: Flask) -> None:
    assert apis.find(declare({}, audience="urn:example:payments")).audience == "urn:example:payments"
