"""Letters as messages: words of `templates/mail` in the reader's language, once as text and once as HTML.

A template says its words once, in blocks: `subject`, `words` (paragraphs, a blank line between them), `action` (what
the link does) and `why` (why the reader gets this). `layout.txt` and `layout.html` make the two shapes of them. Links
begin with the issuer of the settings and with nothing else (RST-03).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import idna
from jinja2 import BaseLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from idp.platform import clock, i18n, letters, pages, resources
from idp.platform.i18n import Wish
from idp.platform.letters import Kind
from idp.platform.mail import foreign_text
from idp.platform.outbox import Letter
from idp.platform.settings import Settings

_ISOLATED: Final = "\u2068{}\u2069"
"""FIRST STRONG ISOLATE … POP DIRECTIONAL ISOLATE: what `<bdi>` is in HTML."""

_LONGEST_SUBJECT = 150
_BLANK_LINES = re.compile(r"\n\s*\n")


def message_of(letter: Letter, *, id: str, posted_at: int, settings: Settings) -> EmailMessage:
    """`letter` as it goes out. `id` and `posted_at` are those of the outbox: however often a letter is made, it has
    the same Message-ID and date, so that a second delivery can be told.
    """
    with i18n.speaking(Wish(cookie=letter.language, pseudo=True)):
        text, html = _shaped(letter, settings, is_html=False), _shaped(letter, settings, is_html=True)
        subject = _line(text.subject)
    to = _address(letter.to)
    message = EmailMessage(policy.SMTP if to.addr_spec.isascii() else policy.SMTPUTF8)
    message["From"] = settings.sender
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = datetime.fromtimestamp(posted_at // clock.SECOND, UTC)
    message["Message-ID"] = f"<{id}@{urlsplit(settings.issuer).hostname}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday is answered to us
    message.set_content(text.body, cte="quoted-printable")
    message.add_alternative(html.body, subtype="html", cte="quoted-printable")
    message["Content-Language"] = letter.language
    return message


def _address(written: str) -> Address:
    """The address on the wire: hosts are asked for by their names in ASCII, only before the @ is anything else."""
    local, _, domain = written.rpartition("@")
    return Address(username=local, domain=domain if domain.isascii() else idna.encode(domain, uts46=True).decode())


class Shaped:
    """What a template made of a letter."""

    def __init__(self, subject: str, body: str) -> None:
        self.subject = subject
        self.body = body


def _shaped(letter: Letter, settings: Settings, *, is_html: bool) -> Shaped:
    template = _environment(is_html).get_template(f"mail/{letter.template}.txt")
    values = {**_facts(letter, is_html=is_html), **_fields(letter, settings, is_html=is_html)}
    context = template.new_context({**values, "layout": f"mail/layout.{'html' if is_html else 'txt'}"})
    subject = "".join(template.blocks["subject"](context))
    return Shaped(subject, template.render(context.get_all()).strip() + "\n")


def _fields(letter: Letter, settings: Settings, *, is_html: bool) -> dict[str, object]:
    """What every layout may use: links are ours, and so is their host."""
    return {
        "to": foreign_text.defused(letter.to, foreign_text.LONGEST_PASSAGE),
        "link": f"{settings.issuer}{_own_path(letter.path)}" if letter.path else "",
        "not_me_link": f"{settings.issuer}{_own_path(letter.not_me)}" if letter.not_me else "",
        "host": urlsplit(settings.issuer).netloc,
        "code": letter.code,
        "until": _time(letter.expires_at, letter, is_html) if letter.expires_at else "",
        "product": pages.PRODUCT,
        "language": i18n.locale(),
        "direction": i18n.direction(),
    }


def _own_path(path: str) -> str:
    """`path`, which goes behind the issuer: `//elsewhere` and `@elsewhere` would make another host of the two."""
    if not path.startswith("/") or path.startswith("//") or not path.isascii() or not path.isprintable():
        raise letters.BadLetter("a letter links to paths of our own")
    return path


def _facts(letter: Letter, *, is_html: bool) -> dict[str, str]:
    kinds: Mapping[str, Kind] = {**letters.EVERYWHERE, **letters.facts_of(letter.template)}
    absent: dict[str, str] = dict.fromkeys(letters.EVERYWHERE, "")
    return absent | {name: _said(kinds[name], value, letter, is_html) for name, value in letter.facts.items()}


def _said(kind: Kind, value: str | int, letter: Letter, is_html: bool) -> str:
    if kind == "instant":
        return _time(int(value), letter, is_html)
    if kind in ("number", "word"):
        return str(value)
    longest = foreign_text.LONGEST_PASSAGE if kind == "passage" else foreign_text.LONGEST_TEXT
    said = foreign_text.defused(str(value), longest)
    if not said:
        return ""
    if is_html:
        return Markup("<bdi>{}</bdi>").format(said)
    is_mixed = i18n.direction() == "rtl" or foreign_text.is_right_to_left(said)
    return _ISOLATED.format(said) if is_mixed else said


def _time(at: int, letter: Letter, is_html: bool) -> str:
    said = i18n.instant(at, letter.zone)
    return Markup("<bdi>{}</bdi>").format(said) if is_html else said


def _line(subject: str) -> str:
    """A subject on its one line, without what only a body needs."""
    plain = " ".join(subject.replace("\u2068", "").replace("\u2069", "").split())
    return plain if len(plain) <= _LONGEST_SUBJECT else plain[: _LONGEST_SUBJECT - 1] + "…"


@lru_cache
def _environment(is_html: bool) -> Environment:
    """Templates are read as text or as HTML: in HTML, whatever is filled in is escaped."""
    environment = Environment(
        autoescape=is_html,  # noqa: S701 text has nothing to be escaped
        loader=_loader(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters["paragraphs"] = _paragraphs
    return environment


def _loader() -> BaseLoader:
    return FileSystemLoader(resources.folder("templates"))


def _paragraphs(words: str) -> list[str]:
    """The paragraphs of `words`, each on one line; what was escaped stays so."""
    kind = Markup if isinstance(words, Markup) else str
    found = (" ".join(part.split()) for part in _BLANK_LINES.split(str(words)))
    return [kind(part) for part in found if part]
