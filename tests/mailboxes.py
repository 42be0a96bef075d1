"""Mail as its readers get it: what is posted and not yet sent, and a mail server to whom it is really sent.

Tests of rules open the outbox, which is sealed (`letters`, `only`). Tests of journeys take the fixture `mail_server`:
an SMTP server on loopback. The provider is given its `url` as the setting `mail`; `delivering(app)` does in the
background what a worker does, and `wait_for` waits until a letter has come.
"""

import contextlib
import email
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask
from sqlalchemy import select

from idp.cli.worker import handlers
from idp.platform import database, outbox
from idp.platform.jobs import Worker
from idp.platform.outbox import Letter, StoredLetter

_PATIENCE = 20.0


def letters(to: str = "") -> list[Letter]:
    """The letters to that address (empty: to all), the oldest first."""
    database.session().rollback()
    ids = database.session().scalars(select(StoredLetter.id).order_by(StoredLetter.created_at, StoredLetter.id))
    return [letter for letter in map(outbox.find, ids) if to in ("", letter.to)]


def only(to: str, template: str) -> Letter:
    """The one letter of that kind to that address."""
    (found,) = [letter for letter in letters(to) if letter.template == template]
    return found


# Real mail


@dataclass(frozen=True)
class Mail:
    """A message as a mail program shows it."""

    message: EmailMessage
    to: str

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    @property
    def links(self) -> list[str]:
        """The addresses in the text, in their order."""
        return re.findall(r"https?://\S+", self.text)

    @property
    def link(self) -> str:
        """The one thing to press."""
        return self.links[0]

    @property
    def code(self) -> str:
        """The code to type."""
        (found,) = re.findall(r"^\d{6,10}$", self.text, re.MULTILINE)
        return str(found)

    def _part(self, kind: str) -> str:
        part = cast("EmailMessage", self.message.get_body((kind,)))
        return str(part.get_content()).replace("\r\n", "\n")


Verdict = Callable[[Envelope], str | None]
"""What the server says to a message; `None`: that it takes it."""


class MailServer:
    """A mail server on loopback, and everything that it has taken over. `judge` may be set to refuse."""

    def __init__(self, **given: Any) -> None:
        self.judge: Verdict = lambda _: None
        self._taken: list[Mail] = []
        self._news = threading.Condition()
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            self.port: int = reserved.getsockname()[1]
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, **given)

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 aiosmtpd's name
        refused = self.judge(envelope)
        if refused:
            return refused
        message = email.message_from_bytes(cast("bytes", envelope.content), policy=policy.default)
        with self._news:
            self._taken += [Mail(cast("EmailMessage", message), to) for to in envelope.rcpt_tos]
            self._news.notify_all()
        return "250 taken"

    @property
    def url(self) -> str:
        """The setting `mail` that leads here."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def mails(self, to: str = "") -> list[Mail]:
        """What has come for that address (empty: for all), the oldest first."""
        with self._news:
            return [one for one in self._taken if to in ("", one.to)]

    def forget(self) -> None:
        """Throw away what has come."""
        with self._news:
            self._taken.clear()

    def wait_for(self, to: str, about: str = "", *, number: int = 1) -> Mail:
        """The `number`th mail to that address whose subject contains `about`, once it has come."""

        def come() -> list[Mail]:
            return [one for one in self._taken if one.to == to and about in one.subject]

        with self._news:
            has_come = self._news.wait_for(lambda: len(come()) >= number, _PATIENCE)
            assert has_come, f"no {number}. mail to {to} about {about!r}: {[one.subject for one in self._taken]}"
            return come()[number - 1]


@contextlib.contextmanager
def serving(**given: Any) -> Iterator[MailServer]:
    """A mail server; `given`: what aiosmtpd's controller takes."""
    server = MailServer(**given)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """A mail server that takes everything."""
    with serving() as found:
        yield found


@contextlib.contextmanager
def delivering(app: Flask) -> Iterator[None]:
    """Inside, letters of `app` leave by themselves, as with a worker."""
    worker = Worker(app, handlers(app), every=0.02, threads=1)
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def deliver(app: Flask) -> int:
    """Do every job of `app` that is due, once; how many there were."""
    worker, done = Worker(app, handlers(app)), 0
    while worker.work_once():
        done += 1
    return done
