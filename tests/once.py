"""What is worked out once a process: every test makes a provider of its own, all with the same pages, routes,
statements and passwords.
"""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any, ClassVar

from argon2 import PasswordHasher
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Dialect, Engine
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from idp.credentials import phc
from idp.platform import database, pages
from idp.platform.database import db


class _Templates(BytecodeCache):
    """What templates compile to, by their names; jinja asks the checksum of the source before it believes it."""

    _kept: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


def _share_templates(app: Flask) -> None:
    app.jinja_env.bytecode_cache = _Templates()


class _Statements(LRUCache[Any, Any]):
    """What statements compile to: by the kind of database and not, as SQLAlchemy does, by each engine's own dialect."""

    _kept: ClassVar[dict[type[Dialect], LRUCache[Any, Any]]] = {}

    def __init__(self, engine: Engine) -> None:
        super().__init__(1)
        self._of_this_kind = self._kept.setdefault(type(engine.dialect), LRUCache(5_000))

    def get(self, key: Any, default: Any = None) -> Any:
        return self._of_this_kind.get(key[1:], default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        self._of_this_kind[key[1:]] = compiled


def _share_statements(app: Flask) -> None:
    with app.app_context():
        db.engine._compiled_cache = _Statements(db.engine)


def _followed_by(init: Callable[..., None], share: Callable[[Flask], None]) -> Callable[..., None]:
    @wraps(init)
    def followed(app: Flask, *given: Any) -> None:
        init(app, *given)
        share(app)

    return followed


# Passwords


_known: set[tuple[str, str | bytes]] = set()


@cache
def hashed(text: str) -> str:
    """A hash of the password `text`, whose right answer is not computed again: hundreds of tests give it."""
    made = phc.make(text)
    _known.update([(made, text), (made, text.encode())])
    return made


def _unless_known(verify: Callable[..., bool]) -> Callable[..., bool]:
    @wraps(verify)
    def verified(hasher: PasswordHasher, stored: str, text: str | bytes) -> bool:
        return (stored, text) in _known or verify(hasher, stored, text)

    return verified


# Routes


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


# All of it


def share() -> None:
    """Let every provider that is made in this process have what others worked out."""
    database.init = _followed_by(database.init, _share_statements)
    pages.init = _followed_by(pages.init, _share_templates)
    PasswordHasher.verify = _unless_known(PasswordHasher.verify)
    # Half of what making a provider costs. Werkzeug has no door for it; without the method, tests end here at once.
    Rule._compile_builder = _once(Rule._compile_builder)
