"""What is compiled once a process: every test makes a provider of its own, all with the same pages and routes."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.routing import Rule


class _Remembered(BytecodeCache):
    """What templates compile to, by their names; jinja asks the checksum of the source before it believes it."""

    _kept: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


def remember(app: Flask) -> None:
    """Let `app` have the templates that others compiled in this process, and leave its own to them."""
    app.jinja_env.bytecode_cache = _Remembered()


Builder = Callable[..., Any]


def _once(compiled: Callable[[Rule, bool], Builder]) -> Callable[[Rule, bool], Builder]:
    """The function that builds the addresses of a route, which werkzeug binds to the route afterwards, by all that it
    is made from.
    """
    kept: dict[tuple[object, ...], Builder] = {}

    @wraps(compiled)
    def remembered(rule: Rule, append_unknown: bool = True) -> Builder:
        made_from = (rule.rule, rule.subdomain, rule.host, repr(rule.defaults), rule.merge_slashes, append_unknown)
        if made_from not in kept:
            kept[made_from] = compiled(rule, append_unknown)
        return kept[made_from]

    return remembered


# Half of what making a provider costs: some 23 ms for each test. Werkzeug has no door for it; without the method,
# tests end here at once.
Rule._compile_builder = _once(Rule._compile_builder)
