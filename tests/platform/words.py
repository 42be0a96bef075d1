"""What people read of a page or a letter, and which of it nobody has translated.

In `i18n.PSEUDO` every sentence of ours stands between ⟦ and ⟧. What stands outside of them is data (in `<bdi>`,
`<code>`, `<time>`, or in another language), a sign, or a sentence that was forgotten.
"""

import re
from html.parser import HTMLParser

_VOID = frozenset(["area", "base", "br", "col", "hr", "img", "input", "link", "meta", "use", "path", "rect", "circle"])
_DATA = frozenset(["bdi", "code", "time", "svg", "script", "style"])
_SPOKEN = ("alt", "aria-label", "data-hide", "data-l", "data-show", "placeholder", "title")
_NO_WORDS = re.compile(r"""(?:https?://|(?<!\w)/)\S+|[a-z-]+="[^"]*\"""")
"""Addresses, and attributes that a macro adds to a tag."""

_LETTERS = re.compile(r"[^\W\d_]{2,}")


class _Reader(HTMLParser):
    """Collects texts outside of the marks. An element that says it is data, or is not to be translated, is passed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self._passed: list[str] = []
        self._inside = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name in _SPOKEN:
            if name in given and not (tag == "link" or self._passed):
                self._hear(given[name], inside=0)
        if tag in _VOID:
            return
        is_data = tag in _DATA or given.get("translate") == "no" or ("lang" in given and tag != "html")
        if self._passed or is_data or given.get("aria-hidden") == "true":
            self._passed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._passed and tag not in _VOID:
            self._passed.pop()

    def handle_data(self, data: str) -> None:
        if not self._passed:
            self._inside = self._hear(data, inside=self._inside)

    def _hear(self, text: str, *, inside: int) -> int:
        """How many marks are open behind `text`; what stands outside of them is kept."""
        for part in re.split("([⟦⟧])", text):
            if part in ("⟦", "⟧"):
                inside += 1 if part == "⟦" else -1
            elif not inside and _LETTERS.search(part):
                self.outside.append(" ".join(part.split()))
        return inside


def untranslated(page: str, *known: str) -> list[str]:
    """The texts and labels of an HTML page in `i18n.PSEUDO` that are not ours to translate, less those `known`."""
    found = [_NO_WORDS.sub("", text) for text in _Reader(page).outside]
    return [text for text in found if text not in known and _LETTERS.search(_less(text, known))]


def untranslated_text(text: str, *known: str) -> list[str]:
    """The same of a plain text: its lines outside of marks, links and `known`."""
    inside, outside = 0, []
    for part in re.split("([⟦⟧])", _NO_WORDS.sub("", text)):
        if part in ("⟦", "⟧"):
            inside += 1 if part == "⟦" else -1
        elif not inside:
            outside += [line.strip() for line in part.splitlines() if _LETTERS.search(_less(line, known))]
    return outside


def _less(text: str, known: tuple[str, ...]) -> str:
    for one in sorted(known, key=len, reverse=True):
        text = text.replace(one, "")
    return text
