"""Letters leave: by a real mail server, in the clear and by TLS, with everything that servers do to their clients."""

import pytest
from flask import Flask
from sqlalchemy import select

from idp.platform import clock, database, outbox
from idp.platform.outbox import Letter, StoredLetter
from idp.platform.settings import configure, settings
from tests import mailboxes
from tests.mailboxes import MailServer, mail_server  # noqa: F401 a fixture

BOB = "bob@northwind.test"


def post(**given: object) -> str:
    said = {"path": "/recover/clink_1", "expires_at": clock.now() + clock.HOUR} | given
    with database.writing():
        return outbox.post(Letter("recover", BOB, "en", **said))  # type: ignore[arg-type]


def use(app: Flask, url: str, **given: object) -> None:
    """Let mail leave by `url`."""
    configure(app, settings().model_copy(update={"mail": url, **given}))


def test_a_letter_leaves_once_and_nothing_of_it_stays(app: Flask, mail_server: MailServer) -> None:  # noqa: F811
    use(app, mail_server.url)
    post()
    assert mailboxes.deliver(app) == 1
    (mail,) = mail_server.mails(BOB)
    assert mail.link == f"{settings().issuer}/recover/clink_1"
    assert mailboxes.deliver(app) == 0
    assert database.session().scalars(select(StoredLetter.id)).all() == []
