"""`idp role`: built-in roles, and those that organizations make."""

from collections.abc import Sequence
from dataclasses import replace

import click

from idp.cli import naming
from idp.cli.door import Noun, operator
from idp.cli.output import Json
from idp.organizations import permissions, roles
from idp.organizations.effective import HeldPermission
from idp.organizations.models import BUILT_IN, Role
from idp.organizations.roles import Permitted, RoleSettings
from idp.platform import database
from idp.platform.errors import Conflict, NotFound

role = Noun("role", help="Roles. ORG is an id or slug; the key of an organization's own role begins with x_.")

_permission = click.option(
    "--permission", "both", multiple=True, metavar="NAME[@AUDIENCE]", help="It allows this; at one API, or at all."
)
_live = click.option(
    "--live-permission", "live", multiple=True, metavar="NAME[@AUDIENCE]", help="In live accounts only."
)
_sandbox = click.option(
    "--sandbox-permission", "sandbox", multiple=True, metavar="NAME[@AUDIENCE]", help="In sandboxes only."
)
_at = click.option(
    "--assignable-at",
    "places",
    multiple=True,
    type=click.Choice(["organization", "account"]),
    help="Where it can be granted.  [default: both]",
)
_demands = click.option(
    "--demands", type=click.Choice(["", "aal1", "aal2", "phr"]), help="What entering with it takes."
)


@role.command("create")
@click.argument("organization", metavar="ORG")
@click.argument("key")
@click.option("--name", default="", help="What people read.  [default: the key]")
@_permission
@_live
@_sandbox
@_at
@_demands
@click.option("--sensitive", is_flag=True, help="A grant of it cools off first, where the policy says so.")
@click.option("--id", "role_id", default="", help="An id to bring along (role_…).")
def create(
    organization: str,
    key: str,
    name: str,
    both: Sequence[str],
    live: Sequence[str],
    sandbox: Sequence[str],
    places: Sequence[str],
    demands: str | None,
    sensitive: bool,
    role_id: str,
) -> Json:
    """Make a role of an organization; one that is so already stays."""
    wanted = RoleSettings(
        key,
        name or key,
        _permitted(both, live, sandbox),
        at_organization=not places or "organization" in places,
        at_account=not places or "account" in places,
        demands=demands or "",
        sensitive=sensitive,
    )
    with database.writing():
        organization_id = naming.organization(organization)
        known = _known(organization_id, key)
        if known is not None and roles.settings_of(known) != wanted:
            raise Conflict(f"the role {key} exists and differs: use `idp role update`")
        made = known or roles.create(organization_id, wanted, by=operator(), id=role_id)
    return view(made)


@role.command("get")
@click.argument("organization", metavar="ORG")
@click.argument("key", metavar="ROLE")
def get(organization: str, key: str) -> Json:
    """One role, built-in or the organization's own, with everything it allows."""
    for one in roles.visible_in(naming.organization(organization)):
        if key in (one.key, one.id):
            return view(one)
    raise NotFound(f"there is no role {key!r} in this organization")


@role.command("list")
@click.argument("organization", metavar="ORG")
def list_(organization: str) -> Json:
    """The roles that can be granted in an organization: built-in ones, then its own."""
    return [_line(one) for one in roles.visible_in(naming.organization(organization))]


@role.command("update")
@click.argument("organization", metavar="ORG")
@click.argument("key", metavar="ROLE")
@click.option("--name", default="", help="What people read.")
@_permission
@_live
@_sandbox
@click.option("--no-permission", "gone", multiple=True, metavar="NAME[@AUDIENCE]", help="It allows this no longer.")
@_at
@_demands
@click.option("--sensitive/--not-sensitive", default=None, help="Whether a grant of it cools off first.")
def update(
    organization: str,
    key: str,
    name: str,
    both: Sequence[str],
    live: Sequence[str],
    sandbox: Sequence[str],
    gone: Sequence[str],
    places: Sequence[str],
    demands: str | None,
    sensitive: bool | None,
) -> Json:
    """Change what is named of an organization's own role and nothing else."""
    with database.writing():
        organization_id = naming.organization(organization)
        changed = roles.find(organization_id, key)
        before = roles.settings_of(changed)
        said = _permitted(both, live, sandbox)
        replaced = {_names(one) for one in (*said, *_permitted(gone, (), ()))}
        wanted = replace(
            before,
            name=name or before.name,
            permissions=frozenset(one for one in before.permissions if _names(one) not in replaced) | said,
            at_organization="organization" in places if places else before.at_organization,
            at_account="account" in places if places else before.at_account,
            demands=before.demands if demands is None else demands,
            sensitive=before.sensitive if sensitive is None else sensitive,
        )
        roles.change(organization_id, changed.id, wanted, by=operator())
    return view(changed)


@role.command("delete")
@click.argument("organization", metavar="ORG")
@click.argument("key", metavar="ROLE")
def delete(organization: str, key: str) -> Json:
    """Delete an organization's own role; its grants end."""
    with database.writing():
        organization_id = naming.organization(organization)
        deleted = roles.find(organization_id, key)
        roles.delete(organization_id, deleted.id, by=operator())
    return {"id": deleted.id, "key": deleted.key, "deleted": True}


def view(shown: Role) -> Json:
    """A role as the command line shows it, with everything it allows at every API."""
    allowed = permissions.of_role(shown)
    listed: list[Json] = [_shown(one) for one in sorted(allowed, key=lambda one: (one.audience, one.name))]
    return {**_line(shown), "privileged": permissions.is_privileged(allowed), "permissions": listed}


def _line(shown: Role) -> dict[str, Json]:
    places = {"organization": shown.at_organization, "account": shown.at_account}
    return {
        "id": shown.id,
        "key": shown.key,
        "name": shown.name,
        "built_in": shown.owner == BUILT_IN,
        "assignable_at": [place for place, fits in places.items() if fits],
        "may_grant": shown.may_grant,
        "demands": shown.demands,
        "sensitive": bool(shown.sensitive),
    }


def _shown(one: HeldPermission) -> Json:
    return {"name": one.name, "audience": one.audience, "live": bool(one.live), "sandbox": bool(one.sandbox)}


def _permitted(both: Sequence[str], live: Sequence[str], sandbox: Sequence[str]) -> frozenset[Permitted]:
    modes = ((both, True, True), (live, True, False), (sandbox, False, True))
    return frozenset(
        Permitted(*_name_and_audience(text), in_live, in_sandbox)
        for texts, in_live, in_sandbox in modes
        for text in texts
    )


def _name_and_audience(text: str) -> tuple[str, str]:
    name, _, audience = text.partition("@")
    return name, audience


def _names(one: Permitted) -> tuple[str, str]:
    return one.name, one.audience


def _known(organization_id: str, key: str) -> Role | None:
    try:
        return roles.find(organization_id, key)
    except NotFound:
        return None
