"""Who is signed in here: a visit each, kept on this side, so that no token ever reaches a browser."""

import contextlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from examples.dashboard.places import Place
from examples.dashboard.tokens import Tokens

MOST = 1_000
"""Visits kept in memory; the oldest go first."""


@dataclass(frozen=True)
class Visit:
    """One person in one browser.

    `places`: where they may work, as of the last token. `allowed`: the names of the calls that were allowed in
    this place when they were last tried. `number`: tells visits apart in what is sent elsewhere; no secret.
    """

    name: str
    username: str
    tokens: Tokens
    places: tuple[Place, ...] = ()
    allowed: frozenset[str] = frozenset()
    number: str = field(default_factory=lambda: secrets.token_hex(8))


class Visits:
    """All visits, each under the key that its browser holds in a cookie. To be used by several threads at once."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Visit, threading.RLock]] = {}
        self._lock = threading.Lock()

    def begin(self, visit: Visit) -> str:
        """The key of a new visit."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            if len(self._kept) >= MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = visit, threading.RLock()
        return key

    def find(self, key: str) -> Visit | None:
        """The visit as it is now; `None` when it is over."""
        kept = self._kept.get(key)
        return kept and kept[0]

    @contextlib.contextmanager
    def alone(self, key: str) -> Iterator[Visit | None]:
        """The visit, while no other request of it is in here: a refresh token is for one use."""
        kept = self._kept.get(key)
        with kept[1] if kept else contextlib.nullcontext():
            yield self.find(key)

    def keep(self, key: str, visit: Visit) -> None:
        """Remember what has become of a visit, unless it was ended meanwhile."""
        with self._lock:
            if key in self._kept:
                self._kept[key] = visit, self._kept[key][1]

    def end(self, key: str) -> Visit | None:
        """Forget a visit; as it was at the end."""
        with self._lock:
            kept = self._kept.pop(key, None)
        return kept and kept[0]
