"""`/demo/mail`: the letters that a provider on this machine has written to a directory, for whoever tries it out.

The pages are there under development rules alone (which hold only with an issuer on loopback) where mail goes to a
directory, and answer nobody but this machine: a mailbox without a lock has no place elsewhere.
"""

import email
import re
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from typing import Final, cast

from flask import Flask, Response, make_response, render_template, request

from idp.platform import clock, hosts, i18n
from idp.platform.access import public
from idp.platform.http_refusals import NoSuchPage
from idp.platform.mail import folder, ways
from idp.platform.mail.ways import Folder
from idp.platform.security_headers import content_security_policy
from idp.platform.settings import Settings, settings

PATH: Final = "/demo/mail"

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")

_OF_A_LETTER: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; "
    "sandbox allow-top-navigation-by-user-activation"
)
"""As in a mail program, a letter may look like something and lead somewhere when pressed; it does nothing."""


@dataclass(frozen=True)
class Shown:
    """A letter as the pages show it."""

    name: str
    to: str
    subject: str
    sent: str
    text: str
    html: str


def init(app: Flask, settings: Settings) -> None:
    """Mount the pages, if this is a provider to try out whose mail goes to a directory."""
    if not settings.development or not isinstance(ways.way_of(settings), Folder):
        return
    app.add_url_rule(PATH, "demo_mail", listed, methods=["GET"])
    app.add_url_rule(f"{PATH}/<name>", "demo_letter", opened, methods=["GET"])
    app.add_url_rule(f"{PATH}/<name>/html", "demo_letter_html", framed, methods=["GET"])


@public
def listed() -> str:
    """The letters, the newest first."""
    place = _place()
    return render_template("demo/mail.html", letters=[_read(place, name) for name in folder.names(place.path)])


@public
def opened(name: str) -> Response:
    """One letter: who gets it, as HTML in a frame of its own, and as text."""
    answer = make_response(render_template("demo/letter.html", letter=_read(_place(), name), path=PATH))
    answer.headers["Content-Security-Policy"] = f"{content_security_policy()}; frame-src 'self'"
    return answer


@public
def framed(name: str) -> Response:
    """The HTML of a letter; its links lead out of the frame."""
    html = _read(_place(), name).html.replace("<head>", '<head><base target="_top">', 1)
    answer = make_response(html)
    answer.headers["Content-Security-Policy"] = _OF_A_LETTER
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def _place() -> Folder:
    """Where the letters are. Raises `NoSuchPage` for whoever asks from another machine."""
    way = ways.way_of(settings())
    if not hosts.is_loopback(request.remote_addr or "") or not isinstance(way, Folder):
        raise NoSuchPage
    return way


def _read(place: Folder, name: str) -> Shown:
    file = place.path / f"{name}{folder.SUFFIX}"
    if not _NAME.fullmatch(name) or not file.is_file():
        raise NoSuchPage
    message = email.message_from_bytes(file.read_bytes(), policy=policy.default)
    return Shown(
        name,
        str(message["To"]),
        str(message["Subject"]),
        i18n.instant(int(message["Date"].datetime.timestamp()) * clock.SECOND),
        _part(message, "plain"),
        _part(message, "html"),
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = cast("EmailMessage | None", message.get_body((kind,)))
    return str(part.get_content()).replace("\r\n", "\n") if part else ""
