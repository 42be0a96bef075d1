"""`idp api`: services that tokens are for."""

from collections.abc import Mapping, Sequence

import click

from idp.cli.door import Noun, operator
from idp.cli.output import Json
from idp.clients import apis
from idp.clients.apis import AS_ISSUER, ApiSettings, ScopeSettings
from idp.clients.models import Api
from idp.platform import database
from idp.platform.errors import Conflict, Invalid, NotFound

api = Noun("api", help="APIs: services that tokens are for. API is an audience or an id.")

_scope = click.option("--scope", "scopes", multiple=True, metavar="NAME[=WORDS]", help="A scope, and words for people.")
_permission = click.option(
    "--permission",
    "permissions",
    multiple=True,
    metavar="NAME[=ROLE,…]",
    help="A permission and the built-in roles that hold it; without =, those that hold it at the issuer.",
)


@api.command("create")
@click.argument("audience")
@click.option("--id", "api_id", default="", help="An id to bring along (api_…).")
@click.option("--name", default="", help="What people read.  [default: the audience]")
@_scope
@_permission
def create(audience: str, api_id: str, name: str, scopes: Sequence[str], permissions: Sequence[str]) -> Json:
    """Declare an API; one that is so already stays."""
    wanted = ApiSettings(audience, name or audience, _scopes(scopes), _permissions(permissions))
    with database.writing():
        known = _known(audience)
        if known is not None and apis.settings_of(known) != apis.normal(wanted):
            raise Conflict(f"the API at {audience} exists and differs: use `idp api update`")
        declared = known or apis.declare(wanted, by=operator(), id=api_id)
    return view(declared)


@api.command("get")
@click.argument("name", metavar="API")
def get(name: str) -> Json:
    """One API with everything it declares."""
    return view(apis.find(name))


@api.command("list")
def list_() -> Json:
    """All APIs; the first of them may be the issuer itself."""
    return [{"id": one.id, "audience": one.audience, "name": one.name} for one in apis.everything()]


@api.command("update")
@click.argument("audience", metavar="API")
@click.option("--name", default="", help="Another name.")
@_scope
@click.option("--no-scope", "no_scopes", multiple=True, metavar="NAME", help="A scope that goes.")
@_permission
@click.option("--no-permission", "no_permissions", multiple=True, metavar="NAME", help="A permission that goes.")
def update(
    audience: str,
    name: str,
    scopes: Sequence[str],
    no_scopes: Sequence[str],
    permissions: Sequence[str],
    no_permissions: Sequence[str],
) -> Json:
    """Change what is named and nothing else; what an API loses is refused there within a second."""
    with database.writing():
        before = apis.settings_of(apis.find(audience))
        new_scopes = {one.name: one for one in (*before.scopes, *_scopes(scopes))}
        new_permissions = {**before.permissions, **_permissions(permissions)}
        wanted = ApiSettings(
            before.audience,
            name or before.name,
            tuple(one for one in new_scopes.values() if one.name not in no_scopes),
            {one: roles for one, roles in new_permissions.items() if one not in no_permissions},
        )
        declared = apis.declare(wanted, by=operator())
    return view(declared)


@api.command("delete")
@click.argument("name", metavar="API")
def delete(name: str) -> Json:
    """Withdraw an API; its tokens are refused within a second."""
    with database.writing():
        declared = apis.find(name)
        apis.withdraw(declared, by=operator())
    return {"id": declared.id, "audience": declared.audience, "deleted": True}


def view(declared: Api) -> Json:
    """An API as the command line shows it. A permission whose roles are null is held by whom the issuer names."""
    said = apis.settings_of(declared)
    return {
        "id": declared.id,
        "audience": said.audience,
        "name": said.name,
        "scopes": [{"name": scope.name, "description": scope.description} for scope in said.scopes],
        "permissions": {name: roles if roles is AS_ISSUER else list(roles) for name, roles in said.permissions.items()},
    }


def _known(audience: str) -> Api | None:
    try:
        return apis.find(audience)
    except NotFound:
        return None


def _scopes(given: Sequence[str]) -> tuple[ScopeSettings, ...]:
    return tuple(ScopeSettings(*_pair(one)) for one in given)


def _permissions(given: Sequence[str]) -> Mapping[str, tuple[str, ...] | None]:
    declared: dict[str, tuple[str, ...] | None] = {}
    for one in given:
        name, roles = _pair(one)
        if name in declared:
            raise Invalid(f"{name!r} is named twice", field="permissions")
        declared[name] = tuple(filter(None, roles.split(","))) if "=" in one else AS_ISSUER
    return declared


def _pair(text: str) -> tuple[str, str]:
    name, _, rest = text.partition("=")
    return name, rest
