"""No sentence is left out of the translations: not in a template, not on a page as it is read, not in a letter."""

from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest
from jinja2 import Environment, nodes

from idp.platform import i18n, letters, resources
from idp.platform.mail import rendering
from idp.platform.outbox import Letter
from idp.platform.pages import PRODUCT
from idp.platform.settings import Settings
from tests.databases import SECRET_KEY
from tests.platform.words import untranslated, untranslated_text

TEMPLATES = Path(str(resources.folder("templates")))
FACTS = {"text": "Xx", "passage": "Xx", "instant": 1, "number": 2}

_ENVIRONMENT = Environment(extensions=["jinja2.ext.i18n"])


def written(template: Path) -> str:
    """What stands in the template itself, without anything that is filled in: a sentence there is in one language."""
    return "\x00".join(_texts(_ENVIRONMENT.parse(template.read_text("utf-8"))))


def _texts(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.TemplateData):
        yield node.data
    for child in node.iter_child_nodes():
        if not (isinstance(child, nodes.Block) and child.name in ATTRIBUTES):
            yield from _texts(child)


ATTRIBUTES = ("attributes", "page", "width")
"""Blocks that fill in attributes: nobody reads those."""

PAGES = sorted(TEMPLATES.rglob("*.html"))


@pytest.mark.parametrize("template", PAGES, ids=lambda path: path.relative_to(TEMPLATES).as_posix())
def test_no_template_of_a_page_says_anything_by_itself(template: Path) -> None:
    assert untranslated(written(template), "UTC", "Canopy") == []


@pytest.mark.parametrize("template", sorted(TEMPLATES.rglob("*.txt")), ids=lambda path: path.stem)
def test_no_template_of_a_letter_says_anything_by_itself(template: Path) -> None:
    assert untranslated_text(written(template)) == []


def test_what_is_forgotten_is_seen() -> None:
    for page in ("<p>Hello there</p>", "<p>⟦x⟧ and</p>", '<a title="Go on">⟦x⟧</a>', '<td data-l="Where">⟦x⟧</td>',
                 "<p>⟦a <b>b</b>⟧ <i>c d ef</i></p>", '<img alt="A dog">', '<input placeholder="Name">'):  # fmt: skip
        assert untranslated(page), page
    for page in ("<p>⟦Hello⟧ · 12</p>", "<bdi>Olivia</bdi>", '<a lang="de">Deutsch</a>', "<p>⟦a <b>b</b> c⟧</p>",
                 '<span aria-hidden="true">OL</span>', "<code>abc</code>"):  # fmt: skip
        assert untranslated(page) == [], page
    assert untranslated_text("⟦Hello⟧\nDear friend\n") == ["Dear friend"]


# Letters

_EVERY = sorted(letters.known())


def posted(template: str) -> Letter:
    """A letter of that kind, with whatever it can say."""
    wanted = letters.facts_of(template)
    facts = {name: FACTS.get(kind, "Xx") for name, kind in {**wanted, **letters.EVERYWHERE}.items()}
    needed = {name for name in letters.FIELDS if letters.known()[template].get(name) == "needed"}
    return Letter(
        template,
        "xx@xx.xx",
        i18n.PSEUDO,
        facts,
        path="/xx" if "path" in needed else "",
        code="123456" if "code" in needed else "",
        expires_at=1 if "expires_at" in needed else None,
        not_me="/yy",
    )


@pytest.fixture(scope="module")
def plain() -> Settings:
    return Settings(issuer="http://localhost:8000", database_url="sqlite:////x", secret_key=(SECRET_KEY,))  # type: ignore[arg-type]


@pytest.mark.parametrize("template", _EVERY)
def test_every_letter_is_translated_in_both_of_its_shapes(template: str, plain: Settings) -> None:
    message = rendering.message_of(posted(template), id="ltr_1", posted_at=1, settings=plain)
    parts = {kind: _part(message, kind) for kind in ("plain", "html")}
    known = (PRODUCT, "localhost", "UTC", "Jan", "Xx", "xx")
    assert untranslated_text(parts["plain"], *known) == []
    assert untranslated(parts["html"], *known) == []
    assert "⟦" in str(message["Subject"])


def _part(message: EmailMessage, kind: str) -> str:
    return str(cast("EmailMessage", message.get_body((kind,))).get_content())
