"""What a route asks of its caller: every view declares it, and a route without a declaration does not start.

A declaration states what a view needs; the decorator that declares it also enforces it (`login.views.requires`).
"""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask

AnyView = Callable[..., Any]
View = TypeVar("View", bound=AnyView)

PUBLIC = "public"
"""The need of a view that anybody may call: it shows nothing but what everybody may know."""

_MARK = "canopy_needs"
_PROGRAMS = "canopy_for_programs"


class Undeclared(Exception):
    """Routes do not say what they need of their caller; the message names them."""


def declare(view: View, needs: str) -> View:
    """Note on `view` what it needs of its caller: `PUBLIC`, or the name of what it checks. Returns `view`."""
    setattr(view, _MARK, needs)
    return view


def public(view: View) -> View:
    """Declare that anybody may call `view`."""
    return declare(view, PUBLIC)


def for_programs(view: View) -> View:
    """Note that programs call `view`, with credentials of their own: there no cookie counts, and no form of ours."""
    setattr(view, _PROGRAMS, True)
    return view


def is_for_programs(view: AnyView) -> bool:
    """Whether `for_programs` was said of `view`. Of every other view it is believed that a browser calls it."""
    return bool(getattr(view, _PROGRAMS, False))


def needs_of(view: AnyView) -> str | None:
    """What `view` declares, or `None` when it does not."""
    needs: str | None = getattr(view, _MARK, None)
    return needs


def check(app: Flask) -> None:
    """Raise `Undeclared` unless every view of `app` says what it needs."""
    if silent := sorted(endpoint for endpoint, view in app.view_functions.items() if not needs_of(view)):
        raise Undeclared(f"these routes declare no permission: {', '.join(silent)}")
