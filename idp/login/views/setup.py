"""`/setup`: the first operator, once. Without the link that counts there is nothing here."""

from urllib.parse import urlencode

from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue

from idp.login import setting_up
from idp.login.views import answers, browser
from idp.platform import database
from idp.platform.access import public
from idp.platform.errors import Invalid, Refusal
from idp.platform.settings import settings
from idp.users import first_run
from idp.users.addresses import AddressTaken
from idp.users.users import UsernameTaken


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/setup", "setup", show, methods=["GET"])
    app.add_url_rule("/setup", "setup_given", make, methods=["POST"])


@public
def show() -> ResponseReturnValue:
    """The page, for whoever has the link."""
    token = request.args.get("token", "")
    first_run.require_open(token)
    if browser.current() is None:
        with database.writing():
            browser.known_or_new()
    return _page(token)


@public
def make() -> ResponseReturnValue:
    """The form: checked, hashed, and then done once; the operator signs in with what was chosen."""
    token = request.form.get("token", "")
    first_run.require_open(token)
    try:
        wanted = setting_up.prepared(*(request.form.get(name, "") for name in ("username", "email", "password")))
        with database.writing():
            person = setting_up.make(token, wanted)
    except (Invalid, UsernameTaken, AddressTaken) as refusal:
        return _page(token, refusal)
    return redirect(f"/login?{urlencode({'login_hint': person.username})}", 303)


def _page(token: str, refusal: Refusal | None = None) -> Response:
    return answers.page(
        "login/setup.html",
        None,
        refusal.status if refusal else 200,
        token=token,
        username=request.form.get("username", ""),
        email=request.form.get("email", ""),
        field=_field(refusal) if refusal else "",
        shortest=settings().password_length,
        problem=answers.in_words(refusal) if refusal else "",
    )


def _field(refusal: Refusal) -> str:
    """The field that has to be filled in anew."""
    if isinstance(refusal, Invalid) and refusal.field in ("username", "email", "password"):
        return refusal.field
    return "email" if isinstance(refusal, AddressTaken) else "username"
