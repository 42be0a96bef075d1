"""`/me/access`: what somebody may do, where, and why; and a question about any of it, answered as `idp why` does."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Flask, request
from flask.typing import ResponseReturnValue

from idp.login import contexts
from idp.login.views import requires
from idp.me import permissions_in_words, reasons_in_words
from idp.me.reasons_in_words import Way
from idp.me.views import frame
from idp.organizations import choices, explain, own_memberships, reasons, roles, scopes
from idp.organizations.choices import AccountChoice, OrganizationChoice, Sourced
from idp.organizations.effective import Holder, effective_roles, held_permissions
from idp.organizations.explain import Kind
from idp.organizations.models import BUILT_IN
from idp.organizations.own_memberships import OwnMembership
from idp.organizations.reasons import Reason
from idp.organizations.scopes import Scope
from idp.platform.errors import NotFound
from idp.sessions.people import LiveSession
from idp.users import users

PATH = "/me/access"

PAGE = 25
"""Accounts that are shown at a time."""

TABS = 8
"""Organizations that are shown side by side; more of them are listed."""

_WAYS = 5
"""Ways to an answer that are shown; those that count come first."""

_LONGEST = 100


@dataclass(frozen=True)
class Line:
    """An account, and why which roles are held on it; `inherited`: the names of those that reach it."""

    key: str
    name: str
    livemode: bool
    reasons: tuple[Reason, ...]
    inherited: tuple[str, ...]


@dataclass(frozen=True)
class Permission:
    """Something that may be done: its name, in words, and whether only in sandboxes."""

    name: str
    words: str
    is_known: bool
    only_sandbox: bool


@dataclass(frozen=True)
class Answer:
    """Whether what was `asked` for is held: `ways` to it, and which roles would do (`giving`), some of them perhaps of
    the organization's own making (`or_own`).
    """

    allowed: bool
    asked: str
    ways: list[Way]
    giving: list[str]
    or_own: bool


@dataclass(frozen=True)
class Place:
    """What of an organization is looked at: all of it (`key` empty), or one account."""

    scope: Scope
    key: str
    name: str


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_access", show, methods=["GET"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page of one organization. Its accounts come some at a time, so that a thousand cost what ten do."""
    mine = own_memberships.of(session.user_id)
    here = _here(session.user_id, mine)
    if here is None:
        return frame.page(session, "access", "me/access.html", chosen=None)
    return _page(session, mine, here)


def _here(user_id: str, mine: list[OwnMembership]) -> OwnMembership | None:
    wanted = request.args.get("organization", "")
    if wanted:
        return own_memberships.find(user_id, wanted)
    return next((one for one in mine if one.status == "active" and not one.rests), next(iter(mine), None))


def _page(session: LiveSession, mine: list[OwnMembership], here: OwnMembership) -> ResponseReturnValue:
    user_id, search = session.user_id, request.args.get("q", "").strip()[:_LONGEST]
    after = request.args.get("after", "")[:_LONGEST]
    on_all = reasons.of(user_id, here.organization_id, ())
    held = tuple(Sourced(one.key, one.source) for one in on_all)
    whole = OrganizationChoice(here.organization_id, here.slug, here.name, held)
    found = choices.accounts_in(user_id, whole, search=search, after=after, limit=PAGE + 1)
    lines = _lines(user_id, here.organization_id, found[:PAGE], on_all)
    place = _place(user_id, here)
    everything = (*on_all, *(reason for line in lines for reason in line.reasons))
    called = {role.key: role.name for role in roles.visible_in(here.organization_id) if role.owner == BUILT_IN}
    called |= {one.key: one.name for one in everything}
    return frame.page(
        session,
        "access",
        "me/access.html",
        chosen=here,
        mine=mine,
        tabs=TABS,
        on_all=on_all,
        lines=lines,
        makers=users.called({one.made_by for one in everything if one.made_by} - {user_id}),
        source=reasons_in_words.source,
        is_mine=lambda one: one.made_by == user_id,
        search=search,
        more=_address(here, q=search, after=found[PAGE - 1].key) if len(found) > PAGE else "",
        is_first=not after,
        place=place,
        permissions=_permissions(user_id, place.scope),
        roles=sorted(called.items(), key=lambda one: one[1].casefold()),
        answer=_answer(user_id, place, called),
        may=request.args.get("may", ""),
        known=[(name, permissions_in_words.said(name)) for name in permissions_in_words.known()],
        address=lambda **more: _address(here, **more),
    )


def _address(here: OwnMembership, **more: str) -> str:
    wanted = {"organization": here.slug} | {name: value for name, value in more.items() if value}
    return f"{PATH}?{urlencode(wanted)}"


# The table


def _lines(user_id: str, organization_id: str, found: Sequence[AccountChoice], on_all: Sequence[Reason]) -> list[Line]:
    by_account: dict[str, list[Reason]] = defaultdict(list)
    for reason in reasons.of(user_id, organization_id, [one.id for one in found]) if found else ():
        by_account[reason.account_id].append(reason)
    inherited = tuple(dict.fromkeys(one.name for one in on_all))
    return [Line(one.key, one.name, one.livemode, tuple(by_account[one.id]), inherited) for one in found]


# One place


def _place(user_id: str, here: OwnMembership) -> Place:
    """The place that the address names by its key. Raises `NotFound` for an account that the person may not enter and
    was never given anything for: of those nothing is said.
    """
    key = request.args.get("place", "")
    whole = Place(scopes.of_organization(here.organization_id), "", here.name)
    if not key:
        return whole
    scope = scopes.of_account(here.organization_id, key)
    if not effective_roles(Holder(user_id), scope.context).roles and not reasons.was_given(user_id, scope):
        raise NotFound("There is no such account that you may enter.")
    return Place(scope, key, contexts.called(scope.context)[0])


def _permissions(user_id: str, scope: Scope) -> list[Permission]:
    """What the person may do in a place, those that have words first."""
    held: dict[str, bool] = {}
    for one in held_permissions(Holder(user_id), scope.context):
        counts = one.live or one.sandbox if scope.livemode is None else one.live if scope.livemode else one.sandbox
        if counts:
            held[one.name] = held.get(one.name, False) or bool(one.live)
    order = {name: number for number, name in enumerate(permissions_in_words.known())}
    names = sorted(held, key=lambda name: (order.get(name, len(order)), name))
    return [_permission(name, only_sandbox=scope.livemode is None and not held[name]) for name in names]


def _permission(name: str, *, only_sandbox: bool) -> Permission:
    return Permission(name, permissions_in_words.said(name), permissions_in_words.has_words(name), only_sandbox)


# The question


def _answer(user_id: str, place: Place, called: Mapping[str, str]) -> Answer | None:
    """The answer to what the address asks, `permission:<name>` or `role:<key>`; `None` where it asks nothing."""
    kind, _, name = request.args.get("may", "")[:_LONGEST].partition(":")
    if kind not in ("permission", "role") or not name:
        return None
    asked: Kind = "role" if kind == "role" else "permission"
    found = explain.explain(Holder(user_id), name, place.scope, kind=asked)
    words = called.get(name, name) if kind == "role" else permissions_in_words.said(name)
    giving = sorted(called[key] for key in found.giving if key in called)
    return Answer(
        found.allowed,
        words,
        reasons_in_words.ways(found, called, most=_WAYS),
        giving,
        or_own=any(key not in called for key in found.giving),
    )
