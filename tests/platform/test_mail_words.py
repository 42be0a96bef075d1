"""The words of letters: each whole in every language, and nothing in them to click that a stranger put there."""

import re
import string
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import meta

from idp.platform import clock, i18n, letters, resources
from idp.platform.letters import BadLetter
from idp.platform.mail import foreign_text, rendering
from idp.platform.mail.foreign_text import BREAK, defused
from idp.platform.outbox import Letter
from idp.platform.settings import Settings
from tests.databases import SECRET_KEY

ISSUER: Final = "https://id.example.com"
SETTINGS: Final = Settings(issuer=ISSUER, database_url="sqlite:////nowhere", secret_key=(SECRET_KEY,))  # type: ignore[arg-type]
NAMES: Final = tuple(sorted(letters.known()))
AT: Final = clock.parse("2026-11-23T07:00:00Z")

HOSTILE: Final = (
    'Evil <a href="https://evil.example/x">click</a> https://evil.example/x www.evil.example evil.example/x '
    "mail@evil.example\r\nBcc: victim@evil.example\n\n{{7*7}} %(to)s %s \u202egnp.exe\u202c\x00\x1b[31m"
)
HELD_BY_FIELDS: Final = frozenset(
    {"to", "link", "not_me_link", "host", "code", "until", "product", "language", "direction", "layout"}
)


def letter(name: str, language: str = "en", text: str = HOSTILE, **given: Any) -> Letter:
    """A letter of that name in which every text is `text`."""
    facts: dict[str, str | int] = {
        fact: {"instant": AT, "number": 3, "word": "passkey"}.get(kind, text)
        for fact, kind in {**letters.facts_of(name), **letters.EVERYWHERE}.items()
    }
    needed = letters.known()[name]
    fields: dict[str, Any] = {
        "path": "/somewhere/token_1" if "path" in needed else "",
        "code": "12345678" if "code" in needed else "",
        "expires_at": AT + clock.HOUR if "expires_at" in needed else None,
        "not_me": "/not-me/token_2",
        "zone": "Asia/Tokyo",
    }
    return Letter(name, "bob@northwind.test", language, facts, **(fields | given))


def made(one: Letter) -> EmailMessage:
    """The message as a mail program reads it off the wire."""
    message = rendering.message_of(one, id="letter_1", posted_at=AT, settings=SETTINGS)
    read = message_from_bytes(message.as_bytes(), policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content())


# The table


@pytest.mark.parametrize("name", NAMES)
def test_the_table_says_what_the_words_speak_of(name: str) -> None:
    environment = rendering._environment(False)
    source = (resources.folder("templates") / "mail" / f"{name}.txt").read_text()
    spoken_of = meta.find_undeclared_variables(environment.parse(source)) - HELD_BY_FIELDS - letters.EVERYWHERE.keys()
    assert spoken_of == letters.facts_of(name).keys() - set(environment.globals)


def test_every_template_stands_in_the_table() -> None:
    files = {path.stem for path in (resources.folder("templates") / "mail").glob("*.txt")} - {"layout"}
    assert files == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_letter_that_lacks_what_its_words_need_is_refused_when_it_is_posted(name: str) -> None:
    good = letter(name)
    letters.require(name, good.facts, vars(good))
    for fact in letters.facts_of(name):
        lacking = {key: value for key, value in good.facts.items() if key != fact}
        with pytest.raises(BadLetter):
            letters.require(name, lacking, vars(good))
        with pytest.raises(BadLetter):
            letters.require(name, {**good.facts, fact: b""}, vars(good))  # type: ignore[dict-item]
    with pytest.raises(BadLetter):
        letters.require(name, {**good.facts, "more": "x"}, vars(good))
    for field in letters.FIELDS:
        with pytest.raises(BadLetter):
            letters.require(name, good.facts, {**vars(good), field: None if getattr(good, field) else "x"})


def test_a_letter_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadLetter):
        letters.require("unheard_of", {}, {})


# The words


@pytest.mark.parametrize("language", [*i18n.LOCALES, i18n.PSEUDO])
@pytest.mark.parametrize("name", NAMES)
def test_every_letter_is_whole_in_every_language(name: str, language: str) -> None:
    message = made(letter(name, language, "Olivia Lund"))
    text, html = part(message, "plain"), part(message, "html")
    direction = "rtl" if language == "ar" else "ltr"
    assert f'<html lang="{language}" dir="{direction}">' in html
    assert message["Subject"]
    assert "id.example.com" in text
    for said in (text, html, str(message["Subject"])):
        assert "None" not in said
        assert not re.search(r"%\(|\{\{|\{%|Undefined", said)


@pytest.mark.parametrize("name", NAMES)
def test_no_words_are_left_out_of_translation(name: str) -> None:
    """In the language of tests every sentence stands between marks; what stands outside of them is not translated."""
    message = made(letter(name, i18n.PSEUDO, ""))
    text = re.sub(r"⟦[^⟧]*⟧", "", part(message, "plain"))
    left = re.sub(r"https://\S+|12345678|Canopy|id\.example\.com|[^A-Za-z]+", "", text)
    assert left == ""
    assert re.sub(r"⟦[^⟧]*⟧", "", str(message["Subject"])).strip() == ""


@pytest.mark.parametrize("name", NAMES)
def test_text_and_html_say_the_same(name: str) -> None:
    message = made(letter(name, "en", "Olivia Lund"))
    html = re.sub(r"<style>.*</style>", "", part(message, "html"), flags=re.DOTALL)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))
    paragraphs = [line for line in part(message, "plain").splitlines() if line.endswith(".")]
    for line in paragraphs[:-1]:
        assert line.strip() in words.replace("&#39;", "'")


# What strangers wrote (HTT-09)


class _Reader(HTMLParser):
    """What an HTML part would fetch or lead to, and which elements it has."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "background")]


@pytest.mark.rule("HTT-09")
@pytest.mark.parametrize("language", ["en", "ar", i18n.PSEUDO])
@pytest.mark.parametrize("name", NAMES)
def test_whatever_people_are_called_the_only_links_are_ours(name: str, language: str) -> None:
    message = made(letter(name, language))
    text, html = part(message, "plain"), part(message, "html")
    read = _Reader(html)
    assert all(link.startswith(f"{ISSUER}/") for link in read.links)
    assert read.tags.isdisjoint({"script", "img", "form", "iframe", "b", "base", "link", "table"})
    assert all(link.startswith(f"{ISSUER}/") for link in re.findall(r"\w+://\S+", text + html))
    assert "evil.example" not in text + html + str(message["Subject"])
    assert "@evil" not in text + html
    assert message["Bcc"] is None
    assert message.get_all("To") == ["bob@northwind.test"]
    assert "\x00" not in text + html
    assert "\u202e" not in text + html


CLICKABLE: Final = re.compile(
    r"\b[a-z][a-z0-9+.-]*:/|\bwww\.[^\s\u200b]|[^\s@]@[^\s@\u200b]|[\w-][.\u3002\uff0e\uff61][a-z]{2,}", re.IGNORECASE
)
"""What mail programs make links of, and rather more."""

WRITTEN: Final = st.text(
    st.one_of(
        st.sampled_from(
            string.ascii_lowercase + ".:/@?&=#%\\ \r\n\t\x00\u200b\u2060\u202e\u3002\uff0e\uff61\uff20\ufe55"
        ),
        st.characters(),
    ),
    max_size=700,
)
ADDRESSES: Final = st.from_regex(r"\A(https?://|www\.|x@)?[a-z]{1,8}(\.|\u3002|\uff0e|\uff61)[a-z]{2,6}(/[a-z]*)?\Z")


@pytest.mark.rule("HTT-09")
@given(st.one_of(WRITTEN, ADDRESSES))
def test_nothing_that_somebody_wrote_can_be_clicked_or_begins_a_line(written: str) -> None:
    said = defused(written)
    assert CLICKABLE.search(said) is None
    assert len(said.replace(BREAK, "")) <= foreign_text.LONGEST_TEXT
    assert said == " ".join(said.split())
    assert all(character.isprintable() or character == BREAK for character in said)


@pytest.mark.rule("HTT-09")
@given(WRITTEN)
def test_no_name_makes_another_header_or_another_reader(written: str) -> None:
    one = letter("invitation", "en", written)
    raw = rendering.message_of(one, id="letter_1", posted_at=AT, settings=SETTINGS).as_bytes()
    head = raw.partition(b"\r\n\r\n")[0].decode("ascii")
    names = [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]
    assert sorted(names) == [
        "Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject",
        "To",
    ]  # fmt: skip
    assert all(len(line) <= 998 for line in raw.decode("ascii").split("\r\n"))
    assert "\n" not in str(made(one)["Subject"])


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("Olivia Lund", "Jean-Luc O'Neill", "山田 太郎", "عمر", "Müller & Söhne GmbH"):
        assert defused(name).replace(BREAK, "") == name
    assert defused("a" * 200) == "a" * 99 + "…"


# Links and headers


@pytest.mark.rule("RST-03")
@pytest.mark.parametrize("path", ["//evil.example/x", "https://evil.example", "@evil.example", "", "/a\r\nb", "/ä"])
def test_a_letter_links_to_no_other_host_whatever_path_it_is_given(path: str) -> None:
    one = letter("recover", path=path)
    if not path:
        assert f"{ISSUER}/somewhere" not in part(made(one), "plain")
        return
    with pytest.raises(BadLetter):
        made(one)


def test_a_letter_that_is_made_twice_can_be_told_to_be_the_same() -> None:
    one = letter("recover")
    first, second = made(one), made(one)
    assert first["Message-ID"] == second["Message-ID"] == "<letter_1@id.example.com>"
    assert first["Date"] == second["Date"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["From"] == "Canopy <no-reply@id.example.com>"


def test_times_are_those_of_the_reader() -> None:
    text = part(made(letter("email_code", "de", "Firefox")), "plain")
    assert "17:00 " in text  # in Tokyo, when the code ends
    assert "Wo" in text or "Where" in text


def test_an_unknown_zone_is_utc() -> None:
    assert "08:00 UTC" in part(made(letter("email_code", zone="Mars/Olympus")), "plain")


def test_addresses_in_other_letters_than_ascii_stay_what_they_are() -> None:
    one = letter("recover")
    to_a_host = Letter("recover", "bob@m\u00fcller.example", "en", one.facts, one.path, expires_at=one.expires_at)
    assert made(to_a_host)["To"] == "bob@xn--mller-kva.example"
    message = rendering.message_of(
        Letter(one.template, "müller@northwind.test", "en", one.facts, one.path, expires_at=one.expires_at),
        id="letter_1",
        posted_at=AT,
        settings=SETTINGS,
    )
    assert message_from_bytes(message.as_bytes(), policy=policy.SMTPUTF8)["To"] == "müller@northwind.test"
