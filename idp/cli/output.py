"""What a command prints: one JSON value for programs, or tables for people. Nothing else goes to stdout."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from idp.platform import clock
from idp.platform.errors import Invalid

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
"""What a command answers: an object, a list of objects, or a text."""


@dataclass(frozen=True)
class Lines:
    """An answer too long for memory: text line by line, each with its end. `are_json`: every line is a JSON value."""

    text: Iterable[str]
    are_json: bool


@dataclass(frozen=True)
class Worded:
    """An answer that people read as `text` and programs as `value`."""

    value: Json
    text: str


Answer: TypeAlias = "Json | Lines | Worded"
"""What a command's function returns."""

_EVERY = 2.0
"""Seconds between two lines that say how far long work has come."""

_NOT_A_TERMINAL = 10_000
"""Columns where nobody looks at a terminal: nothing is cut or folded."""


def show(answer: Answer, *, as_json: bool) -> None:
    """Print `answer` on stdout."""
    if isinstance(answer, Lines):
        _stream(answer, as_json=as_json)
    elif isinstance(answer, Worded):
        show(answer.value if as_json else answer.text, as_json=as_json)
    elif as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    elif isinstance(answer, Mapping):
        _print(_card(answer))
    elif isinstance(answer, Sequence) and not isinstance(answer, str):
        _print(_table([row for row in answer if isinstance(row, Mapping)]) if answer else Text("Nothing."))
    elif answer is not None:
        click.echo(_plain(answer))


def tell(text: str) -> None:
    """Say something to the person at the terminal, on stderr."""
    click.echo(_harmless(text), err=True)


def moment(instant: int | None) -> str | None:
    """An instant of ours (microseconds since 1970 UTC) as RFC 3339."""
    return None if instant is None else clock.iso(instant)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how far long work has come; yields what to tell: how many are done, of how many.

    Where nobody looks at a terminal: a line every few seconds.
    """
    if not sys.stderr.isatty():
        yield _lines(title)
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(title: str) -> Callable[[int, int], None]:
    told = clock.monotonic()

    def tell_now_and_then(done: int, total: int) -> None:
        nonlocal told
        if clock.monotonic() - told >= _EVERY:
            told = clock.monotonic()
            tell(f"{title}: {done:,} of {total:,}")

    return tell_now_and_then


def _stream(answer: Lines, *, as_json: bool) -> None:
    if as_json and not answer.are_json:
        raise Invalid("this format cannot be printed as one JSON value: leave --json away, or write to a file")
    between = "["
    for line in answer.text:
        click.echo(between + line.rstrip("\n") if as_json else line, nl=False)
        between = ","
    if as_json:
        click.echo("[]" if between == "[" else "]")


def _print(renderable: Table | Text) -> None:
    terminal = sys.stdout.isatty()
    Console(file=sys.stdout, width=None if terminal else _NOT_A_TERMINAL, highlight=False).print(renderable)


def _card(answer: Mapping[str, Json]) -> Table:
    card = Table(box=None, show_header=False, pad_edge=False)
    card.add_column(style="bold", no_wrap=True)
    card.add_column(overflow="fold")
    for name, value in answer.items():
        card.add_row(Text(_titled(name)), Text(_plain(value)))
    return card


def _table(rows: Sequence[Mapping[str, Json]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = list(dict.fromkeys(name for row in rows for name in row))
    for name in names:
        table.add_column(_titled(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_plain(row.get(name))) for name in names))
    return table


def _titled(name: str) -> str:
    return name.replace("_", " ")


def _plain(value: Json) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return _harmless(value)
    if isinstance(value, Mapping):
        return "  ".join(f"{_harmless(name)}={_plain(one)}" for name, one in value.items()) or "-"
    if isinstance(value, Sequence):
        return "\n".join(_plain(one) for one in value) or "-"
    return str(value)


def _harmless(text: str) -> str:
    """What was typed by strangers must not steer the terminal (control and direction-changing characters)."""
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)
