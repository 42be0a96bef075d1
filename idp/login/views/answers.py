"""What pages of signing in answer: a page under its policy, or the way to the next one. Detours lead nowhere else."""

import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from idp.credentials.hashing import TooBusy
from idp.login import progress
from idp.login.steps import Step
from idp.login.transactions import SignIn
from idp.login.views import branding, browser
from idp.platform import i18n, lane, pages, security_headers
from idp.platform.errors import Invalid, Refusal
from idp.platform.i18n import gettext as _

PATHS = {
    Step.IDENTIFY: "/login",
    Step.PASSWORD: "/login/password",
    Step.VERIFY: "/login/verify",
    Step.RENEW: "/login/renew",
    Step.ENROL: "/login/enrol",
    Step.OFFER: "/login/offer",
    Step.SELECT: "/select",
}
"""Where each step is asked."""


def page(
    template: str,
    sign_in: SignIn | None,
    status: int = 200,
    *,
    targets: Sequence[str] = (),
    organization: branding.Shown | None = None,
    **values: Any,
) -> Response:
    """`template` for a sign-in (or none): its forms may lead where the sign-in leads, its scripts carry a nonce.

    `targets`: as of a demand, for a page without a sign-in; `organization`: what such a page is about, if anything.
    """
    nonce = secrets.token_urlsafe(16)
    policy = security_headers.content_security_policy(sign_in.demand.targets if sign_in else targets, nonce=nonce)
    application = sign_in.application if sign_in else ""
    named = {"sign_in": sign_in, "application": application, "organization": organization or branding.shown(sign_in)}
    answer = pages.page(template, status, nonce=nonce, **named, **values)
    return lane.response(answer.with_headers(("Content-Security-Policy", policy)))


def password_form(template: str, sign_in: SignIn | None, refusal: Refusal | None, **values: Any) -> Response:
    """`page` with a form that asks for a new password. `refusal` says why it is shown again: what is wrong (`problem`)
    at which `field`, or that too many wait for theirs to be hashed (`is_busy`).
    """
    answer = page(
        template,
        sign_in,
        refusal.status if refusal else 200,
        problem=in_words(refusal) if isinstance(refusal, Invalid) else "",
        field=_field(refusal),
        is_busy=isinstance(refusal, TooBusy),
        **values,
    )
    if isinstance(refusal, TooBusy):
        answer.headers["Retry-After"] = str(refusal.retry_after)
    return answer


def onward(sign_in: SignIn) -> AnyResponse:
    """To whatever the sign-in asks next; once it is settled, back to where it was asked from."""
    if sign_in.outcome is None:
        step = progress.step_of(sign_in, browser.current())
        if step is not Step.DONE:
            return redirect(address(step, sign_in), 303)
    return redirect(way_back(sign_in), 303)


def address(step: Step, sign_in: SignIn) -> str:
    """Where `step` of the sign-in is asked."""
    return f"{PATHS[step]}?txn={sign_in.id}"


def way_back(sign_in: SignIn) -> str:
    """Where the sign-in leads: told the choice, where whoever asked wants to be."""
    told_as, chosen = sign_in.demand.told_as, sign_in.account_id or sign_in.organization_id
    if not told_as or not chosen or sign_in.outcome != "done":
        return sign_in.return_to
    joined = "&" if "?" in sign_in.return_to else "?"
    return f"{sign_in.return_to}{joined}{urlencode({told_as: chosen})}"


def _field(refusal: Refusal | None) -> str:
    if not isinstance(refusal, Invalid):
        return ""
    return "name" if refusal.field == "name" else "password"


def in_words(refusal: Refusal) -> str:
    """Why something that was typed will not do: in English the particulars; other languages have the words of its
    class, and what to do.
    """
    if i18n.locale() == "en":
        return f"{refusal.message[:1].upper()}{refusal.message[1:]}."
    return f"{_('%(words)s.', words=_(refusal.title))} {_(refusal.remedy)}"
