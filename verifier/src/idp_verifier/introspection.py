"""Introspection (RFC 7662): asking the provider about one token, while the feed cannot say whether it stands."""

import hashlib
import logging
import threading
from dataclasses import dataclass, field
from typing import Final

from idp_verifier.clocks import Clocks
from idp_verifier.provider import Away, Provider
from idp_verifier.refusals import Unavailable

PATH: Final = "/oauth2/introspect"

KEPT: Final = 2.0
"""Seconds that an answer counts, from when it was asked for."""

REST: Final = 1.0
"""Seconds that the provider is left alone after it did not answer."""

_PRUNED_ABOVE = 1_000
_log = logging.getLogger(__name__)


@dataclass
class _Call:
    """One question about one token: `is_active` is `None` until it is answered, and when it could not be."""

    sent: float
    is_active: bool | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Introspection:
    """Asks about tokens: one call per token at a time, whose answer all who wait for it share."""

    def __init__(self, provider: Provider, clocks: Clocks) -> None:
        self._provider, self._clocks = provider, clocks
        self._calls: dict[bytes, _Call] = {}
        self._lock = threading.Lock()
        self._away_until = float("-inf")

    def is_active(self, raw: str) -> bool:
        """Whether the token stands, as of at most two seconds ago. Raises `Unavailable` when nobody can say."""
        call, is_ours = self._call(hashlib.sha256(raw.encode()).digest())
        if is_ours:
            self._ask(call, raw)
        call.done.wait()
        if call.is_active is None:
            raise Unavailable("It cannot be found out whether the token still stands.")
        return call.is_active

    def _call(self, digest: bytes) -> tuple[_Call, bool]:
        """The call about a token, and whether it is ours to make."""
        with self._lock:
            now = self._clocks.monotonic()
            call = self._calls.get(digest)
            if call is not None and (not call.done.is_set() or _counts(call, now)):
                return call, False
            if now < self._away_until:
                raise Unavailable("It cannot be found out whether the token still stands.")
            if len(self._calls) > _PRUNED_ABOVE:
                self._calls = {
                    name: call for name, call in self._calls.items() if not call.done.is_set() or _counts(call, now)
                }
            made = self._calls[digest] = _Call(now)
            return made, True

    def _ask(self, call: _Call, raw: str) -> None:
        try:
            answer = self._provider.post(PATH, {"token": raw, "token_type_hint": "access_token"})
            is_active = answer.body.get("active")
            if answer.status != 200 or not isinstance(is_active, bool):
                raise Away(f"introspection was answered with {answer.status}")
            call.is_active = is_active
        except Away as error:
            _log.warning("a token cannot be introspected: %s", error)
            self._away_until = self._clocks.monotonic() + REST
        finally:
            call.done.set()


def _counts(call: _Call, now: float) -> bool:
    return call.is_active is not None and now - call.sent <= KEPT
