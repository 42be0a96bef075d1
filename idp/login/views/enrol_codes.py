"""`/login/enrol/codes`: recovery codes, shown once to whoever has set up their first factor within a sign-in."""

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from idp.audit.trail import Actor
from idp.credentials import recovery_codes
from idp.login import changing_factors, transactions
from idp.login.transactions import SignIn
from idp.login.views import answers, browser
from idp.platform.access import public


def init(app: Flask) -> None:
    """Serve this page in `app`."""
    app.add_url_rule("/login/enrol/codes", "enrol_codes", keep, methods=["POST"])


@public
def keep() -> ResponseReturnValue:
    """The recovery codes that the last page showed: sent back as a file, or put away, as the person says.

    They are known to nobody but whoever was shown them; what comes here is not looked up.
    """
    sign_in = transactions.find(browser.current(), browser.transaction())
    codes = recovery_codes.read(request.form.get("codes", ""))
    if codes and "file" in request.form:
        return as_file(codes)
    if codes and "saved" not in request.form:
        return page(sign_in, codes, is_missing=True)
    return answers.onward(sign_in)


def are_due(user_id: str) -> bool:
    """Whether the person gets codes with the factor that they set up next."""
    return not recovery_codes.left(user_id)


def first(user_id: str) -> tuple[str, ...]:
    """New recovery codes for somebody who has just set up a factor and has none; inside `database.writing()`."""
    return changing_factors.make_codes(user_id, by=Actor("user", user_id)) if are_due(user_id) else ()


def page(sign_in: SignIn, codes: tuple[str, ...], *, is_missing: bool = False) -> Response:
    """The page that shows new recovery codes, once. `is_missing`: nobody said yet that they are kept."""
    return answers.page("login/enrol_codes.html", sign_in, codes=codes, is_missing=is_missing)


def as_file(codes: tuple[str, ...]) -> Response:
    """The codes as a text to be kept."""
    text = "".join(f"{code}\r\n" for code in codes)
    headers = {"Content-Disposition": 'attachment; filename="recovery-codes.txt"'}
    return Response(text, headers=headers, content_type="text/plain; charset=utf-8")
