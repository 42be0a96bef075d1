"""Following the change feed: a thread that asks twice a second, and whoever holds a token from beyond what it knows."""

import enum
import logging
import random
import threading
from collections.abc import Iterator, Mapping
from typing import Final

from idp_verifier.accounts import Accounts
from idp_verifier.clocks import Clocks
from idp_verifier.keys import Keys
from idp_verifier.provider import Away, Json, Provider
from idp_verifier.snapshot import Entry, Snapshot
from idp_verifier.tokens import Token

PATH: Final = "/oauth2/changes"

EVERY: Final = 0.5
"""Seconds between two polls, give or take a fifth, so that many services do not ask in step."""

STALE_AFTER: Final = 3.0
"""Seconds after which what we know is no answer any more."""

MOST: Final = 100_000
"""Entries kept in memory."""

BETWEEN_SHARED: Final = 0.1
"""Seconds between two polls that tokens cause."""

_PRUNED_EVERY = 60.0
_REST = 10.0
_log = logging.getLogger(__name__)


class Standing(enum.Enum):
    """Whether a token still stands, as far as the feed says."""

    CURRENT = enum.auto()
    SUPERSEDED = enum.auto()
    BEYOND = enum.auto()
    """It claims to be newer than the feed: from a history that was undone."""
    UNKNOWN = enum.auto()
    """We do not know enough to say."""


class Follower:
    """Keeps a `Snapshot` up to date, and tells `keys` and `accounts` what to drop.

    `instance` names this process in the provider's list of who has read how far. `most`: entries kept in memory; with
    more, what we know counts as stale.
    """

    def __init__(
        self, provider: Provider, keys: Keys, accounts: Accounts, clocks: Clocks, instance: str, most: int = MOST
    ) -> None:
        self._provider, self._keys, self._accounts, self._clocks = provider, keys, accounts, clocks
        self._instance, self._most = instance, most
        self._snapshot = Snapshot()
        self._polling, self._lock = threading.Lock(), threading.Lock()
        self._wanted = 0
        self._shared_at = self._pruned_at = self._rests_until = float("-inf")
        self._reached = True
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow, in a thread of our own, unless that has begun already."""
        with self._lock:
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._follow, name="canopy change feed", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop following, for good."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def is_fresh(self) -> bool:
        """Whether what we know is an answer."""
        return self._is_younger(self._snapshot, STALE_AFTER)

    def standing(self, token: Token) -> Standing:
        """Whether `token` still stands; waits for a poll when it is from beyond our head."""
        snapshot = self._snapshot
        if not self._is_younger(snapshot, STALE_AFTER):
            return Standing.UNKNOWN
        if _is_beyond(token, snapshot):
            reached, snapshot = self._catch_up(token.azv), self._snapshot
            if not reached or not self._is_younger(snapshot, STALE_AFTER):
                return Standing.UNKNOWN
        return _standing(token, snapshot)

    def last_standing(self, token: Token, age: float) -> Standing:
        """As far as we knew `age` seconds ago or later: for whoever prefers that to no answer."""
        snapshot = self._snapshot
        return _standing(token, snapshot) if self._is_younger(snapshot, age) else Standing.UNKNOWN

    def poll(self, at_least: int = 0) -> bool:
        """Read on to the end of the feed; whether that was possible.

        `at_least`: the highest `azv` among the tokens in hand; a node that has not come so far reads before it answers.
        """
        with self._polling:
            return self._poll(at_least)

    def _follow(self) -> None:
        wait = 0.0
        while not self._stopped.wait(wait):
            try:
                self.poll()
                self._keys.refresh()
            except Exception:  # whatever it was, it must not end the thread: without it everything is stale
                _log.exception("following the change feed failed")
            wait = EVERY * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, hides nothing

    def _is_younger(self, snapshot: Snapshot, age: float) -> bool:
        return self._clocks.monotonic() - snapshot.fresh_as_of <= age

    def _catch_up(self, azv: int) -> bool:
        """Wait for a poll that began after now and knew of `azv`; whether it reached the provider.

        However many ask, they share their polls, and there are at most ten a second.
        """
        with self._lock:
            self._wanted = max(self._wanted, azv)
            asked = self._clocks.monotonic()
        with self._polling:
            if (self._snapshot.head or 0) >= azv:
                return True
            if self._shared_at > asked:  # somebody who came later has asked for us too
                return self._reached
            wait = self._shared_at + BETWEEN_SHARED - self._clocks.monotonic()
            if wait > 0:
                self._clocks.sleep(wait)
            with self._lock:
                wanted, self._wanted = self._wanted, 0
                self._shared_at = self._clocks.monotonic()
            return self._poll(max(wanted, azv))

    def _poll(self, at_least: int) -> bool:
        if self._clocks.monotonic() < self._rests_until:
            return False
        try:
            while self._read_page(at_least):
                pass
        except Away as error:
            if self._reached:
                _log.warning("the change feed cannot be read: %s", error)
            self._reached = False
            return False
        if not self._reached:
            _log.info("the change feed is read again")
        self._reached = True
        return self._snapshot.fresh_as_of > float("-inf")

    def _read_page(self, at_least: int) -> bool:
        """One request; whether another one has to follow at once."""
        sent, since = self._clocks.monotonic(), self._snapshot.head
        query: dict[str, str | int] = {"instance": self._instance}
        if since is not None:
            query["since"] = since
        if at_least:
            query["min"] = at_least
        answer = self._provider.get(PATH, query)
        if answer.status == 410 and since is not None:
            self._forget()
            return True
        if answer.status != 200:
            raise Away(f"the change feed was answered with {answer.status}")
        page = _Page(answer.body)
        if page.more and since is not None and page.reaches <= since:
            raise Away("the change feed goes in a circle")
        return self._take(page, sent)

    def _take(self, page: "_Page", sent: float) -> bool:
        snapshot = self._snapshot
        for match in page.matches():
            self._accounts.drop(match)
            if "kid" in match:
                self._keys.withdraw(match["kid"])
        snapshot.take((entry for entry in page.entries if "kid" not in entry.match), page.reaches, page.floor)
        self._let_go(snapshot)
        if self._snapshot is not snapshot:
            return False
        if not page.more:
            snapshot.fresh_as_of = max(snapshot.fresh_as_of, sent - page.age)
        return page.more

    def _let_go(self, snapshot: Snapshot) -> None:
        now = self._clocks.monotonic()
        if snapshot.size > self._most or now - self._pruned_at > _PRUNED_EVERY:
            snapshot.prune()
            self._pruned_at = now
        if snapshot.size > self._most:
            _log.warning("the change feed has more than %d entries: tokens are introspected", self._most)
            self._forget()
            self._rests_until = now + _REST  # then the provider may have folded them

    def _forget(self) -> None:
        """Know nothing. What the keys and accounts rest on is gone with the entries."""
        self._snapshot = Snapshot()
        self._keys.forget()
        self._accounts.forget()


def _standing(token: Token, snapshot: Snapshot) -> Standing:
    if _is_beyond(token, snapshot):
        return Standing.BEYOND
    return Standing.SUPERSEDED if snapshot.hits(token.azv, token.values()) else Standing.CURRENT


def _is_beyond(token: Token, snapshot: Snapshot) -> bool:
    return token.azv > (snapshot.head or 0)


class _Page:
    """An answer of the feed. Raises `Away` when it is none."""

    def __init__(self, body: Mapping[str, Json]) -> None:
        changes, more = body.get("changes"), body.get("more")
        if not isinstance(changes, list) or not isinstance(more, bool):
            raise Away("the change feed was answered with something else")
        self.floor = _whole(body.get("floor"))
        self.age = _whole(body.get("age_ms")) / 1000
        self.entries = [_entry(change) for change in changes]
        self.more = more and bool(self.entries)
        self.reaches = self.entries[-1].position if self.more else _whole(body.get("head"))

    def matches(self) -> Iterator[Mapping[str, str]]:
        return (entry.match for entry in self.entries)


def _entry(change: Json) -> Entry:
    match = change.get("match") if isinstance(change, dict) else None
    if not isinstance(change, dict) or not isinstance(match, dict):
        raise Away("an entry of the change feed is malformed")
    return Entry(_whole(change.get("p")), {name: value for name, value in match.items() if isinstance(value, str)})


def _whole(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Away("the change feed was answered without a number where one belongs")
    return value
