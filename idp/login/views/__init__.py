"""The pages of signing in, one module a page; `browser`, `requires` and `answers` are what every page stands on."""

from flask import Flask

from idp.login.transactions import Settled
from idp.login.views import (
    answers,
    branding,
    browser,
    enrol,
    enrol_codes,
    enrol_email,
    enrol_link,
    enrol_passkey,
    identifier,
    invitation,
    keep,
    not_me,
    offer,
    passkey,
    password,
    recover,
    renew,
    select,
    setup,
    sign_up,
    signing_out,
    start,
    verify,
)


def init(app: Flask) -> None:
    """Serve the pages in `app`, and see to it that no form counts that we did not show."""
    browser.init(app)
    app.register_error_handler(Settled, lambda over: answers.onward(over.sign_in))
    pages = (
        start, branding, setup, identifier, password, passkey, verify, renew, enrol, enrol_passkey, enrol_email,
        enrol_link, keep, enrol_codes, offer, select, signing_out, recover, not_me, sign_up,
        invitation,
    )  # fmt: skip
    for page in pages:
        page.init(app)
