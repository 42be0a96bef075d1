"""The order in which an access token is decided on."""

import os
import re
import socket
import ssl
import threading
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Final

from idp_verifier import principal, tokens
from idp_verifier.accounts import Account, Accounts
from idp_verifier.clocks import Clocks
from idp_verifier.follower import MOST, Follower, Standing
from idp_verifier.introspection import Introspection
from idp_verifier.keys import Keys
from idp_verifier.principal import Principal, World
from idp_verifier.provider import Provider
from idp_verifier.refusals import InvalidToken, Superseded, Unavailable
from idp_verifier.tokens import Token

NO_ROLES: Final[Mapping[str, Collection[str]]] = {}
REAL: Final = Clocks()
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._:@-]")


class Verifier:
    """Decides whether access tokens are the provider's, for this API, and still stand; one a process, for all threads.

    `issuer`: the provider's, compared with `iss`. `audience`: this API, compared with `aud`. `client_id` and
    `client_secret`: of the client of the operator that has this audience among those that it serves.

    `addresses`: where the nodes of the provider are reached, if not at `issuer`. `instance`: the name of this process
    in the provider's list of who has read how far: up to 64 letters, digits and `._:@-` (host and process number, if
    empty). `permissions`: the roles that allow each permission, for an API whose tokens list none. `reads_for`: seconds
    for which calls that only read go on by what was last known, while the provider gives no answer that can be used.
    `most`: entries of the change feed kept in memory. `tls`: how to verify the provider's certificate.

    It begins to follow the change feed at the first token, or with `start`, and does so until `close`, or the end of a
    `with` block. After a fork it begins anew. Raises `ValueError` for addresses that are not `https` (`http` on
    loopback), and for such an `instance`.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        client_id: str,
        client_secret: str,
        addresses: Sequence[str] = (),
        instance: str = "",
        permissions: Mapping[str, Collection[str]] = NO_ROLES,
        reads_for: float = 0.0,
        most: int = MOST,
        tls: ssl.SSLContext | None = None,
        clocks: Clocks = REAL,
    ) -> None:
        if _NOT_IN_NAMES.search(instance) or len(instance) > 64:
            raise ValueError("instance: up to 64 letters, digits and ._:@- are expected")
        self.issuer, self.audience = issuer, audience
        self._addresses, self._credentials, self._tls = tuple(addresses) or (issuer,), (client_id, client_secret), tls
        self._instance, self._roles_for, self._clocks = instance, permissions, clocks
        self._reads_for, self._most = reads_for, most
        self._lock = threading.Lock()
        self._running = self._made()

    def start(self) -> None:
        """Begin to follow the change feed now, so that the first token need not be introspected."""
        self._current().follower.start()

    def close(self) -> None:
        """Stop following, and close connections. A closed verifier is not used again."""
        running = self._current()
        running.follower.stop()
        running.provider.close()

    def __enter__(self) -> "Verifier":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def verify(self, raw: str, *, reads: bool = False) -> Principal:
        """Whoever the token `raw` speaks for. Asks nobody, as a rule; the provider, while the feed cannot be followed.

        `reads`: the call changes nothing (see `reads_for`). Raises `InvalidToken` when the token is not ours or does
        not stand any more, and `Unavailable` when nobody can say; never lets one pass because of a failure.
        """
        running = self._current()
        running.follower.start()
        now = self._clocks.wall()
        token = tokens.read(raw, issuer=self.issuer, audience=self.audience, key_of=running.keys.find, now=now)
        standing = running.follower.standing(token)
        if standing is Standing.UNKNOWN:
            self._introspect(running, token, reads=reads)
        elif standing is Standing.BEYOND:
            raise InvalidToken("The token is newer than anything that the issuer knows of.")
        elif standing is Standing.SUPERSEDED:
            raise Superseded
        return principal.of(token, running.world)

    def poll(self) -> bool:
        """Read the change feed now, in this thread; whether that was possible. The background does so by itself."""
        return self._current().follower.poll()

    def _introspect(self, running: "_Running", token: Token, *, reads: bool) -> None:
        try:
            is_active = running.introspection.is_active(token.raw)
        except Unavailable:
            last = running.follower.last_standing(token, self._reads_for) if reads else Standing.UNKNOWN
            if last is Standing.SUPERSEDED:
                raise Superseded from None
            if last is not Standing.CURRENT:
                raise
            return
        if not is_active:
            raise InvalidToken("The token was revoked or superseded.")

    def _current(self) -> "_Running":
        """What runs in this process: threads and connections do not survive a fork."""
        if self._running.process != os.getpid():
            with self._lock:
                if self._running.process != os.getpid():
                    self._running = self._made()
        return self._running

    def _made(self) -> "_Running":
        provider = Provider(self._addresses, *self._credentials, self._tls)
        return _Running(provider, self._clocks, self._instance, self._most, self._roles_for)


class _Running:
    """What one process holds: connections, keys, the feed, answers."""

    def __init__(
        self, provider: Provider, clocks: Clocks, instance: str, most: int, roles_for: Mapping[str, Collection[str]]
    ) -> None:
        self.process = os.getpid()
        self.provider = provider
        self.keys = Keys(provider, clocks)
        self.accounts = Accounts(provider)
        name = instance or _NOT_IN_NAMES.sub("-", f"{socket.gethostname()}:{self.process}")[-64:]
        self.follower = Follower(provider, self.keys, self.accounts, clocks, name, most)
        self.introspection = Introspection(provider, clocks)
        self.world = World(self._account, roles_for, clocks)

    def _account(self, account_id: str) -> Account | None:
        return self.accounts.find(account_id, self.follower.is_fresh)
