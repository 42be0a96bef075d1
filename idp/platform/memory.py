"""What one application remembers in this process: caches and the like. Two applications share nothing."""

from collections.abc import Callable
from typing import TypeVar

from flask import Flask, current_app

Thing = TypeVar("Thing")

_EXTENSION = "canopy_memory"


def of(kind: Callable[[], Thing]) -> Thing:
    """The one `kind` of the current application, made when it is first asked for."""
    remembered = current_app.extensions.setdefault(_EXTENSION, {})
    if kind not in remembered:
        remembered.setdefault(kind, kind())
    thing: Thing = remembered[kind]
    return thing


def forget(app: Flask) -> None:
    """Let `app` remember nothing, as if it had just been made: for whoever puts another database under it."""
    app.extensions.pop(_EXTENSION, None)
