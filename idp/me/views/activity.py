"""`/me/activity`: what happened to oneself in the last 90 days, as far as it concerns one's safety."""

from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Flask, request
from flask.typing import ResponseReturnValue

from idp.audit import search
from idp.audit.search import Cursor, Found, Own, Page
from idp.login.views import requires
from idp.me import happenings
from idp.me.happenings import Happening, Names
from idp.me.views import frame
from idp.oauth import connected
from idp.organizations import own_memberships, roles
from idp.platform import clock
from idp.sessions import listings
from idp.sessions.people import LiveSession

PATH = "/me/activity"

REACHES = 90 * clock.DAY
"""How far back one's own activity is shown."""

PAGE = 25

_DONE = frozenset({*happenings.SIGNING_IN, *happenings.APPLICATIONS})
"""What somebody does that is about nobody but themselves, whatever it is done to."""


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me_activity", show, methods=["GET"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page; `kind` narrows it, `before` says where the last page ended."""
    kind = request.args.get("kind", "")
    kind = kind if kind in happenings.KINDS else ""
    found = of(session.user_id, kind, after=_cursor(request.args.get("before", "")), limit=PAGE)
    return frame.page(
        session,
        "activity",
        "me/activity.html",
        kinds=[(key, name()) for key, (name, _) in happenings.KINDS.items()],
        kind=kind,
        happenings=told(found.entries, session.user_id),
        is_first="before" not in request.args,
        more=_more(kind, found.next) if found.next else "",
    )


def of(user_id: str, kind: str = "", *, after: Cursor | None = None, limit: int) -> Page:
    """A page of what happened to the person, of that kind or of all, the newest first."""
    events = frozenset(happenings.KINDS[kind][1] if kind else happenings.EVENTS)
    since = clock.now() - REACHES
    belongings = (
        listings.everything_of(user_id),
        own_memberships.everything_of(user_id),
        connected.everything_of(user_id, since),
    )
    return search.search_own(Own(user_id, events & _DONE, belongings, events, since), after=after, limit=limit)


def told(entries: Sequence[Found], user_id: str) -> list[Happening]:
    """The entries in the words of the page; three statements for the names in them."""
    organizations = {one.organization_id for one in entries if one.organization_id}
    clients = {happenings.client_of(one) for one in entries} - {""}
    names = Names(own_memberships.names_of(organizations), connected.names_of(clients), roles.names_in(organizations))
    return [happenings.told(one, user_id, names) for one in entries]


def _cursor(text: str) -> Cursor | None:
    """Where a page begins; what cannot be read begins at the beginning. It leads nowhere but into one's own."""
    at, _, id = text.partition(".")
    return Cursor(int(at), id) if at.isascii() and at.isdigit() and len(at) < 19 and id else None


def _more(kind: str, next: Cursor) -> str:
    wanted = {"kind": kind} if kind else {}
    return f"{PATH}?{urlencode({**wanted, 'before': f'{next.at}.{next.id}'})}"
