"""`idp why`: whether somebody may do something, the whole chain, and what would change it."""

from collections.abc import Iterator

import click

from idp.cli import naming
from idp.cli.door import Command
from idp.cli.output import Json, Worded
from idp.clients import clients
from idp.organizations import effective, explain, scopes
from idp.organizations.effective import Holder
from idp.organizations.explain import Explanation, Kind
from idp.users import users


@click.command("why", cls=Command)
@click.argument("who", metavar="USER")
@click.argument("asked", metavar="PERMISSION-OR-ROLE")
@click.argument("scope")
@click.option("--at", default="", metavar="TIME", help="At a moment in the past (RFC 3339) instead of now.")
@click.option(
    "--as", "kind", type=click.Choice(("role", "permission")), help="Which of both it is, where one name is both."
)
def why(who: str, asked: str, scope: str, at: str, kind: Kind | None) -> Worded:
    """Say whether a person (or client:ID) holds a permission or role at a scope, and why.

    SCOPE is an id, slug, slug/account-key or slug/group:key. The status is 0 whatever the answer is.
    """
    when = effective.past(naming.instant("--at", at)) if at else None
    answer = explain.explain(_holder(who), asked, scopes.named(scope), when, kind=kind)
    chain: list[Json] = [
        {
            "role": path.role,
            "grant": path.grant_id or None,
            "source": path.source,
            "counts": path.counts,
            "links": [{"about": link.about, "holds": link.holds, "says": link.says} for link in path.links],
        }
        for path in answer.chain
    ]
    value: Json = {"allowed": answer.allowed, "chain": chain, "would_change": list(answer.would_change)}
    return Worded(value, "\n".join(_words(answer, asked, scope)))


def _holder(text: str) -> Holder:
    kind, _, name = text.partition(":")
    if kind == "client" and name:
        return Holder(client_id=clients.named(name).id)
    return Holder(user_id=users.named(text).id)


def _words(answer: Explanation, asked: str, scope: str) -> Iterator[str]:
    yield f"{'Yes' if answer.allowed else 'No'}: {asked} at {scope}"
    for path in answer.chain:
        yield f"\n{'+' if path.counts else '-'} {path.role} ({' '.join(filter(None, (path.source, path.grant_id)))})"
        for link in path.links:
            yield f"    {'yes' if link.holds else 'NO '}  {link.says}"
    if answer.would_change:
        yield "\nWhat would change it:"
        yield from (f"  * {one}" for one in answer.would_change)
