"""The provider's public keys: kept, looked at again when a token names one we do not know, dropped when withdrawn."""

import logging
import threading
from collections.abc import Mapping
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from idp_verifier.clocks import Clocks
from idp_verifier.provider import Away, Json, Provider
from idp_verifier.refusals import InvalidToken, Superseded, Unavailable

PATH: Final = "/.well-known/jwks.json"

AGAIN_AFTER: Final = 10.0
"""Seconds between two looks that strangers can cause, by tokens that name keys that nobody has."""

AGAIN_AFTER_FAILURE: Final = 1.0
"""Seconds between two looks while the provider does not answer, or by a node that is behind the feed."""

OLD_AFTER: Final = 300.0
"""Seconds after which the keys are looked at again even if all is well."""

_log = logging.getLogger(__name__)


class Keys:
    """The keys for ES256, by `kid`. To be used by several threads at once."""

    def __init__(self, provider: Provider, clocks: Clocks) -> None:
        self._provider, self._clocks = provider, clocks
        self._known: Mapping[str, ECKey] = {}
        self._withdrawn: frozenset[str] = frozenset()
        self._generation = 0
        self._looked_at = self._failed_at = float("-inf")
        self._looking, self._lock = threading.Lock(), threading.Lock()

    def find(self, kid: str) -> ECKey:
        """The key `kid`. Raises `InvalidToken` when the provider has no such key, and `Unavailable` when we cannot
        find out.
        """
        key = self._known.get(kid)
        return self._looked_up(kid) if key is None else key

    def withdraw(self, kid: str) -> None:
        """Never use the key `kid` again, wherever it still stands. Its successor may be one that we do not know yet."""
        with self._lock:
            if kid in self._withdrawn:
                return
            self._looked_at = float("-inf")
            self._withdrawn |= {kid}
            self._known = {name: key for name, key in self._known.items() if name != kid}

    def forget(self) -> None:
        """Know nothing: keys may have been withdrawn without our hearing of it."""
        with self._lock:
            self._known, self._withdrawn = {}, frozenset()
            self._generation += 1
            self._looked_at = self._failed_at = float("-inf")

    def refresh(self) -> None:
        """Look again if that was long ago; what was known stays when nobody answers."""
        now = self._clocks.monotonic()
        if now - self._looked_at < OLD_AFTER or now - self._failed_at < AGAIN_AFTER or not self._known:
            return
        with self._looking:
            try:
                self._look()
            except Unavailable:
                _log.info("the keys of the provider could not be looked at again")

    def _looked_up(self, kid: str) -> ECKey:
        with self._looking:  # whoever waited here finds what the other one learned
            if kid in self._withdrawn:
                raise Superseded
            if kid not in self._known and self._may_look():
                self._look()
            key = self._known.get(kid)
        if key is None:
            raise InvalidToken("The token was signed by a key that is not the issuer's.")
        return key

    def _may_look(self) -> bool:
        now = self._clocks.monotonic()
        if now - self._failed_at < AGAIN_AFTER_FAILURE:
            raise Unavailable("The keys of the issuer cannot be read.")
        return now - self._looked_at >= AGAIN_AFTER

    def _look(self) -> None:
        began, generation = self._clocks.monotonic(), self._generation
        try:
            answer = self._provider.get(PATH)
            if answer.status != 200:
                raise Away(f"the key set was answered with {answer.status}")
            found = _keys(answer.body.get("keys"))
        except Away as error:
            self._failed_at = began
            _log.warning("the keys of the provider cannot be read: %s", error)
            raise Unavailable("The keys of the issuer cannot be read.") from None
        with self._lock:
            if generation != self._generation:  # what was read is of before we forgot all
                raise Unavailable("The keys of the issuer are being read again.")
            self._known = {kid: key for kid, key in found.items() if kid not in self._withdrawn}
            is_behind = len(self._known) < len(found)  # that node has not heard yet of what was withdrawn
            self._looked_at = began - (AGAIN_AFTER - AGAIN_AFTER_FAILURE if is_behind else 0)


def _keys(listed: Json) -> dict[str, ECKey]:
    """Those of the list that are for ES256. Others are for other tokens, or from times to come."""
    found = {}
    for jwk in listed if isinstance(listed, list) else []:
        if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig" or jwk.get("alg", "ES256") != "ES256":
            continue
        texts = {name: value for name, value in jwk.items() if isinstance(value, str)}
        if texts.get("kty") != "EC" or texts.get("crv") != "P-256" or not texts.get("kid"):
            continue
        try:
            found[texts["kid"]] = ECKey.import_key({name: texts[name] for name in ("kty", "crv", "x", "y")})
        except (JoseError, KeyError, ValueError):
            _log.warning("key %s of the provider is malformed", texts["kid"])
    return found
