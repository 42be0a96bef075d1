"""Catalogues: every sentence of ours that people read, and what translators made of it.

`python -m idp.platform.catalogues` brings `translations/*.po` up to date with templates and code, and prints what is
still untranslated.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

import idp
from idp.platform import i18n, resources

_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2)}
_SPOKEN = frozenset({"title", "remedy"})
"""The sentences of a refusal."""


_HEAD = """# {name}
msgid ""
msgstr ""
"Language: {tag}\\n"
"Plural-Forms: {plurals}\\n"
"Content-Type: text/plain; charset=utf-8\\n"

"""


def sentences() -> Catalog:
    """Every message of templates and code, in English."""
    found = Catalog(project="canopy", charset="utf-8")
    for place, message in (*_in_templates(), *_in_code()):
        found.add(message, locations=[(place, 0)])
    return found


def untranslated(tag: str) -> list[str]:
    """What has no translation into `tag` yet."""
    known = read(tag)
    messages = [message.id for message in sentences() if message.id]
    found = [known.get(message) for message in messages]
    return [str(message) for message, entry in zip(messages, found, strict=True) if entry is None or not entry.string]


def read(tag: str) -> Catalog:
    """The catalogue of `tag`, empty when there is none."""
    path = i18n.FOLDER / f"{tag}.po"
    locale = tag.replace("-", "_")
    if not path.exists():
        return Catalog(locale=locale, project="canopy", charset="utf-8")
    with path.open("rb") as source:
        return read_po(source, locale=locale)


def update(tag: str) -> None:
    """Add what is new to the catalogue of `tag`, and drop what nobody says any more."""
    catalogue = read(tag)
    catalogue.update(sentences(), no_fuzzy_matching=True, update_header_comment=False)
    write(tag, catalogue)


def write(tag: str, catalogue: Catalog) -> None:
    """Keep `catalogue` as that of `tag`: sorted, and without dates or line numbers that change with every commit."""
    with (i18n.FOLDER / f"{tag}.po").open("wb") as target:
        target.write(_HEAD.format(name=i18n.LOCALES[tag], tag=tag, plurals=catalogue.plural_forms).encode())
        write_po(target, catalogue, 0, no_location=True, omit_header=True, sort_output=True, ignore_obsolete=True)


def _in_templates() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    rows = extract_from_dir(
        resources.folder("templates"),
        method_map=[("**.html", "jinja2"), ("**.txt", "jinja2")],
        options_map={"**": {"trimmed": "true", "silent": "false"}},
        keywords=_KEYWORDS,
    )
    return ((str(row[0]), row[2]) for row in rows)


def _in_code() -> Iterator[tuple[str, str | tuple[str, ...]]]:
    folder = Path(idp.__file__).parent
    rows = extract_from_dir(folder, method_map=[("**.py", "python")], keywords=_KEYWORDS)
    yield from ((str(row[0]), row[2]) for row in rows)
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield from ((path.name, text) for text in _of_refusal(node))


def _of_refusal(node: ast.ClassDef) -> Iterator[str]:
    """The `title` and `remedy` of a class body, as they are written there."""
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))) if name in _SPOKEN:
                yield text


def main() -> int:
    """Update every catalogue; 1 when something is untranslated."""
    left = 0
    for tag in list(i18n.LOCALES)[1:]:
        update(tag)
        for message in untranslated(tag):
            left += 1
            print(f"{tag}: {message}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
