"""The lines of the payments example that decide on a call, as they stand in its source."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_PAYMENTS: Final = Path(__file__).parents[1] / "payments"
_METHODS: Final = ("get", "post", "put", "delete")
_ROOT: Final = _PAYMENTS.parents[1]


@dataclass(frozen=True)
class Decision:
    """The view of a route: in which `file`, from which `line` on, and its `source`, line by line.

    `deciding`: the line that says who may call it.
    """

    file: str
    line: int
    source: tuple[str, ...]
    deciding: str


@cache
def decisions() -> dict[str, Decision]:
    """All of them, by method and path (`POST /refunds`)."""
    return {route: found for path in sorted(_PAYMENTS.glob("*.py")) for route, found in _in_file(path)}


def _in_file(path: Path) -> Iterator[tuple[str, Decision]]:
    text = path.read_text("utf-8")
    lines = text.splitlines()
    for view in ast.walk(ast.parse(text)):
        if isinstance(view, ast.FunctionDef):
            first, last = min([one.lineno for one in view.decorator_list], default=view.lineno), view.end_lineno
            source = tuple(_dedented(lines[first - 1 : last]))
            deciding = next((line for line in source if ".requires(" in line), "")
            for route in filter(None, map(_route, view.decorator_list)):
                yield route, Decision(path.relative_to(_ROOT).as_posix(), first, source, deciding)


def _route(decorator: ast.expr) -> str:
    """`GET /balance` for `@app.get("/balance")`; empty for other decorators."""
    if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.args):
        return ""
    method, path = decorator.func.attr, decorator.args[0]
    if method not in _METHODS or not isinstance(path, ast.Constant) or not isinstance(path.value, str):
        return ""
    return f"{method.upper()} {path.value}"


def _dedented(lines: list[str]) -> list[str]:
    margin = len(lines[0]) - len(lines[0].lstrip())
    return [line[margin:] for line in lines]
