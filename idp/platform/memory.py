"""What one application remembers in this process: caches and the like. Two applications share nothing."""

from collections.abc import Callable
from typing import TypeVar

from flask import current_app

Thing = TypeVar("Thing")

EXTENSION = "canopy_memory"
"""Where it is kept among the extensions of the application."""


def of(kind: Callable[[], Thing]) -> Thing:
    """The one `kind` of the current application, made when it is first asked for."""
    remembered = current_app.extensions.setdefault(EXTENSION, {})
    if kind not in remembered:
        remembered.setdefault(kind, kind())
    thing: Thing = remembered[kind]
    return thing
