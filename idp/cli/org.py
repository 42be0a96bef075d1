"""`idp org`: organizations."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from idp.cli import naming
from idp.cli.door import Noun, operator
from idp.cli.output import Json, moment
from idp.organizations import branding, listings, organizations, ownership, policies
from idp.organizations.branding import Brand
from idp.organizations.listings import OrganizationLine, Page
from idp.organizations.organizations import OrganizationSettings
from idp.organizations.policies import PolicySettings
from idp.platform import database
from idp.platform.errors import Conflict, Invalid, NotFound
from idp.users import users

org = Noun("org", help="Organizations. ORG is an id or a slug, USER an id, username or address.")


@org.command("create")
@click.argument("slug")
@click.option("--owner", required=True, metavar="USER", help="Who owns it.")
@click.option("--name", default="", help="What people read.  [default: the slug]")
@click.option("--id", "organization_id", default="", help="An id to bring along (org_…).")
def create(slug: str, owner: str, name: str, organization_id: str) -> Json:
    """Found an organization; one that is so already stays."""
    wanted = OrganizationSettings(slug, name or slug)
    with database.writing():
        person = users.named(owner)
        known = _known(organization_id or slug)
        if known is None:
            known = organizations.found(wanted, person.id, by=operator(), id=organization_id).id
        else:
            _require_same(known, wanted, person.username)
    return view(known)


@org.command("get")
@click.argument("name", metavar="ORG")
def get(name: str) -> Json:
    """One organization with its policy."""
    return view(naming.organization(name))


@org.command("list")
@click.option("--after", default="", help="Begin behind this id.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
def list_(after: str, limit: int) -> Json:
    """Organizations in the order of their ids."""
    return [_line(line) for line in listings.organizations(Page(after, limit))]


@org.command("update")
@click.argument("current", metavar="ORG")
@click.option("--slug", default="", help="Another slug; the old one leads here for good.")
@click.option("--name", default="", help="What people read.")
@click.option("--owner", default="", metavar="USER", help="The member who owns it from now on.")
@click.option("--deputy", default="", metavar="USER", help="The super admin who follows the owner; `none` for nobody.")
@click.option("--hue", type=click.IntRange(0, branding.HUES - 1), help="The hue of its pages, in degrees.")
@click.option("--logo", type=click.Path(dir_okay=False, path_type=Path), help="A PNG, JPEG or GIF; `none` for none.")
@click.option("--policy", "policy", multiple=True, metavar="NAME=VALUE", help="What it demands of who enters it.")
def update(
    current: str,
    slug: str,
    name: str,
    owner: str,
    deputy: str,
    hue: int | None,
    logo: Path | None,
    policy: Sequence[str],
) -> Json:
    """Change what is named and nothing else."""
    by, picture = operator(), _picture(logo)
    with database.writing():
        organization_id = naming.organization(current)
        before = organizations.find(organization_id)
        wanted = OrganizationSettings(slug or before.slug, name or before.name)
        organizations.reconfigure(organization_id, wanted, by=by)
        if policy:
            policies.change(organization_id, _policy(organization_id, policy), by=by)
        if hue is not None or picture is not None:
            now = branding.of(organization_id)
            wanted_brand = Brand(now.hue if hue is None else hue, now.logo if picture is None else picture)
            branding.change(organization_id, wanted_brand, by=by)
        if owner:
            ownership.transfer(organization_id, naming.member(organization_id, owner).id, by=by)
        if deputy:
            follower = None if deputy == "none" else naming.member(organization_id, deputy).id
            ownership.name_deputy(organization_id, follower, by=by)
    return view(organization_id)


@org.command("suspend")
@click.argument("name", metavar="ORG")
def suspend(name: str) -> Json:
    """Let nothing count in an organization until it is resumed."""
    with database.writing():
        organization_id = naming.organization(name)
        organizations.suspend(organization_id, by=operator())
    return view(organization_id)


@org.command("resume")
@click.argument("name", metavar="ORG")
def resume(name: str) -> Json:
    """End the suspension of an organization."""
    with database.writing():
        organization_id = naming.organization(name)
        organizations.resume(organization_id, by=operator())
    return view(organization_id)


@org.command("delete")
@click.argument("name", metavar="ORG")
def delete(name: str) -> Json:
    """Close an organization for good, once its accounts are closed or moved; its slug is never given to another."""
    with database.writing():
        organization_id = naming.organization(name)
        organizations.close(organization_id, by=operator())
    return view(organization_id)


def view(organization_id: str) -> Json:
    """An organization as the command line shows it."""
    (line,) = listings.organizations(Page(only=organization_id))
    brand = branding.of(organization_id)
    look: dict[str, Json] = {"hue": brand.hue, "logo": brand.logo_type}
    return {**_line(line), **look, "policies": _shown(policies.of(organization_id))}


def _line(line: OrganizationLine) -> dict[str, Json]:
    return {**asdict(line), "created_at": moment(line.created_at)}


def _shown(policy: PolicySettings) -> Json:
    return {**asdict(policy), "methods": list(policy.methods)}


def _picture(path: Path | None) -> bytes | None:
    """What the file holds; nothing for `none`, and `None` where no file is named."""
    if path is None or path == Path("none"):
        return None if path is None else b""
    if not path.is_file() or path.stat().st_size > branding.LARGEST_LOGO:
        raise Invalid(f"{path} is no file of at most {branding.LARGEST_LOGO} bytes", field="logo")
    return path.read_bytes()


def _policy(organization_id: str, given: Sequence[str]) -> PolicySettings:
    wanted = asdict(policies.of(organization_id))
    for name, value in naming.pairs("--policy", given):
        if name not in wanted:
            raise Invalid(f"a policy is one of {', '.join(policies.NAMES)}", field=name)
        wanted[name] = _parsed(name, value, wanted[name])
    return PolicySettings(**wanted)


def _parsed(name: str, value: str, before: object) -> str | int | tuple[str, ...]:
    """`value` in the shape that the policy has `before`."""
    if isinstance(before, bool):
        return _flag(name, value)
    if isinstance(before, tuple):
        return tuple(filter(None, value.split(",")))
    return _seconds(name, value) if isinstance(before, int) else value


def _flag(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise Invalid(f"{name} takes true or false", field=name)
    return value == "true"


def _seconds(name: str, value: str) -> int:
    if not value.isdecimal():
        raise Invalid(f"{name} takes seconds", field=name)
    return int(value)


def _known(name: str) -> str | None:
    try:
        return naming.organization(name)
    except NotFound:
        return None


def _require_same(organization_id: str, wanted: OrganizationSettings, owner: str) -> None:
    """Asking twice changes nothing; asking for something else is what `update` is for."""
    (line,) = listings.organizations(Page(only=organization_id))
    if (line.slug, line.name, line.owner) != (wanted.slug, wanted.name, owner):
        raise Conflict(f"the organization {line.slug} exists and differs: use `idp org update`")
