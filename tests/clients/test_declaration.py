"""`config/roles.yaml` is understood whole, or it stops the start and says where."""

import pytest

from idp.clients import declaration
from idp.clients.declaration import RoleDeclaration, WrongDeclaration

FILE = """
version: 1
permissions:
  sales: [payments.read, payments.write]
  access: [members.read, members.write]
every_member: [payments.read]
privileged_if_any_of: [members.write]
sets:
  look: [payments.read]
  desk: [$look, payments.write]
roles:
  super_admin: {may_grant: any, sensitive: true, allow: [$all]}
  admin: {may_grant: [any, -super_admin], allow: [$all, -members.write]}
  clerk: {demands: aal2, allow: [$desk]}
  tester: {live: [$look], sandbox: [$sales, $access, -members.write]}
"""


def test_sets_groups_and_subtractions_mean_what_they_say() -> None:
    parsed = declaration.parse(FILE)
    everything = frozenset({"payments.read", "payments.write", "members.read", "members.write"})
    but_one = everything - {"members.write"}
    desk = frozenset({"payments.read", "payments.write"})
    assert parsed.roles == (
        RoleDeclaration("super_admin", "any", True, "", everything, everything),
        RoleDeclaration("admin", "any -super_admin", False, "", but_one, but_one),
        RoleDeclaration("clerk", "none", False, "aal2", desk, desk),
        RoleDeclaration("tester", "none", False, "", frozenset({"payments.read"}), but_one),
    )
    assert set(parsed.permissions) == everything
    assert parsed.every_member == {"payments.read"}
    assert parsed.privileged == {"members.write"}


def test_the_shipped_file_gives_the_top_roles_everything_but_what_is_not_theirs() -> None:
    roles = {role.key: role for role in declaration.shipped().roles}
    everything = frozenset(declaration.shipped().permissions)
    assert roles["super_admin"].live == roles["super_admin"].sandbox == everything
    assert roles["admin"].live == everything - {"accounts.move"}
    assert roles["iam_admin"].may_grant == "any -admin -super_admin"
    assert roles["sandbox_admin"].live == {"sandboxes.read", "sandboxes.write"}
    assert "members.write" not in roles["sandbox_admin"].sandbox
    assert len(roles["sandbox_user"].sandbox) > len(roles["sandbox_user"].live) == 1
    assert roles["transfer_analyst"].demands == "aal2"
    assert len(roles) == 19


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("version: 1", "version: 2", "version"),
        ("version: 1", "version: 1\nextra: 1", "the file"),
        ("version: 1", "version: 1\nversion: 1", "not YAML"),
        ("[payments.read, payments.write]", "[payments.read, payments.read]", "permissions.sales"),
        ("[members.read, members.write]", "[members.read, payments.read]", "permissions"),
        ("[members.read, members.write]", "[members]", "permissions.access"),
        ("every_member: [payments.read]", "every_member: payments.read", "every_member"),
        ("every_member: [payments.read]", "every_member: [refunds.read]", "every_member"),
        ("privileged_if_any_of: [members.write]", "", "privileged_if_any_of"),
        ("look: [payments.read]", "sales: [payments.read]", "sets.sales"),
        ("look: [payments.read]", "all: [payments.read]", "sets.all"),
        ("[$look, payments.write]", "[$desk]", "sets.desk"),
        ("clerk: {", "x_clerk: {", "roles.x_clerk"),
        ("clerk: {", "Clerk: {", "roles.Clerk"),
        ("demands: aal2", "demands: aal9", "roles.clerk.demands"),
        ("sensitive: true", "sensitive: 1", "roles.super_admin.sensitive"),
        ("sensitive: true", "sensitve: true", "roles.super_admin"),
        ("allow: [$desk]", "allow: [$desks]", "roles.clerk.allow"),
        ("allow: [$desk]", "allow: [$desk, -nothing.here]", "roles.clerk.allow"),
        ("allow: [$desk]", "allow: [$desk], live: [$look]", "roles.clerk"),
        ("demands: aal2, allow: [$desk]", "demands: aal2", "roles.clerk"),
        ("live: [$look], sandbox", "sandbox", "roles.tester.live"),
        ("[any, -super_admin]", "[any, -superadmin]", "roles.admin.may_grant"),
        ("may_grant: any,", "may_grant: all,", "roles.super_admin.may_grant"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(before: str, after: str, place: str) -> None:
    assert before in FILE
    with pytest.raises(WrongDeclaration) as refused:
        declaration.parse(FILE.replace(before, after, 1))
    assert refused.value.message.startswith(place)
