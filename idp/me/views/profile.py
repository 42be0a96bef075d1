"""`/me`: who you are and how pages look to you, and the ways to everything else that is yours."""

from collections.abc import Sequence
from itertools import groupby
from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.login import contexts
from idp.login.demands import Demand
from idp.login.views import answers, requires
from idp.me.views import addresses, frame
from idp.platform import cookies, database, i18n
from idp.platform.errors import Invalid, NotFound
from idp.platform.settings import settings
from idp.sessions.people import LiveSession
from idp.users import profiles, users, zones
from idp.users.profiles import Profile

PATH = "/me"


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule(PATH, "me", show, methods=["GET"])
    app.add_url_rule(PATH, "me_given", save, methods=["POST"])


@requires.signed_in
def show(session: LiveSession) -> ResponseReturnValue:
    """The page; `context` in the address is the organization or account that was just chosen to work in."""
    return _page(session, profiles.of(users.find(session.user_id)))


@requires.signed_in
def save(session: LiveSession) -> ResponseReturnValue:
    """Who they are, as they say. The next page speaks the language that they chose, and remembers it."""
    fields = request.form.to_dict()
    try:
        wanted = profiles.parse(fields)
        with database.writing():
            requires.still_there(session)
            profiles.store(session.user_id, wanted, by=Actor("user", session.user_id))
    except Invalid as refusal:
        typed = Profile(**{name: fields.get(name, "") for name in vars(Profile())})
        return _page(session, typed, refusal)
    done = redirect(frame.done_at(session, "profile.saved", PATH), 303)
    if wanted.locale:
        done.location = f"{done.location}&{urlencode({'ui_locales': wanted.locale})}"
    else:
        done.headers.add("Set-Cookie", cookies.written("locale", "", settings(), max_age=0))
    return done


def _page(session: LiveSession, profile: Profile, refusal: Invalid | None = None) -> Response:
    person = users.find(session.user_id)
    return frame.page(
        session,
        "profile",
        "me/profile.html",
        422 if refusal else 200,
        just_done=frame.just_done(session),
        offers_ending=False,
        username=person.username,
        initials=_initials(users.display_name(person)),
        profile=profile,
        locales=i18n.LOCALES,
        zones=_zones(profile.zoneinfo),
        longest=profiles.LONGEST,
        field=refusal.field if refusal else "",
        problem=answers.in_words(refusal) if refusal else "",
        addresses=addresses.shown(person.id),
        working_in=_chosen(person.id),
    )


def _initials(name: str) -> str:
    """Of the first and last word."""
    words = name.split()
    return "".join(word[:1] for word in dict.fromkeys((words[0], words[-1]))).upper() if words else ""


def _zones(chosen: str) -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
    """The zones to choose from, by continent: name and place."""
    known = zones.choices()[1:]
    names = known if not chosen or chosen in ("UTC", *known) else (*known, chosen)
    return [
        (continent, [(name, name.partition("/")[2].replace("_", " ") or name) for name in several])
        for continent, several in groupby(names, lambda name: name.partition("/")[0])
    ]


def _chosen(user_id: str) -> tuple[str, str] | None:
    """The names of the account and organization that the address says were chosen, where they are the person's."""
    try:
        return contexts.called(contexts.chosen(user_id, Demand(context="any"), request.args.get("context", "")))
    except NotFound:
        return None
