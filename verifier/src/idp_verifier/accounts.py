"""Account records: whose an account is, and its mode, as the provider says; kept until the feed names the account."""

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from idp_verifier.provider import Away, Json, Provider
from idp_verifier.refusals import Unavailable

PATH: Final = "/oauth2/accounts/"

MOST: Final = 50_000
"""Records kept in memory; the oldest go first."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Account:
    """An account as APIs see it. `livemode`: not a sandbox."""

    id: str
    organization_id: str
    livemode: bool
    status: str

    @property
    def is_active(self) -> bool:
        """Whether anything may be done in it."""
        return self.status == "active"


class Accounts:
    """Asks for accounts and remembers the active ones. To be used by several threads at once.

    The others are asked for each time: what they regain, no entry of the feed says.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._known: dict[str, Account] = {}
        self._drops = 0
        self._lock = threading.Lock()

    def find(self, account_id: str, is_fresh: Callable[[], bool]) -> Account | None:
        """The account, or `None` when there is none that this API may see. Raises `Unavailable`.

        `is_fresh`: whether the feed would have told by now that a remembered record does not hold any more.
        """
        known = self._known.get(account_id)
        if known is not None and is_fresh():
            return known
        drops = self._drops
        account = self._asked(account_id)
        if account is not None and account.is_active:
            self._remember(account, drops)
        return account

    def drop(self, match: Mapping[str, str]) -> None:
        """Forget what an entry of the feed may be about: the account that it names, or those of the organization that
        it names alone, or all if it names nothing. Such wide entries stand for many that named accounts.
        """
        if "account_id" not in match and not match.keys() <= {"org_id"}:
            return
        with self._lock:
            self._drops += 1
            if "account_id" in match:
                self._known.pop(match["account_id"], None)
                return
            left = match.get("org_id")
            self._known = {name: one for name, one in self._known.items() if left and one.organization_id != left}

    def forget(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._drops += 1
            self._known = {}

    def _remember(self, account: Account, drops: int) -> None:
        with self._lock:
            if drops != self._drops:  # what we were told may be of before an entry that has arrived since
                return
            if len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[account.id] = account

    def _asked(self, account_id: str) -> Account | None:
        if not _ID.fullmatch(account_id):  # it comes from a request, and goes into an address
            return None
        try:
            answer = self._provider.get(PATH + account_id)
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise Away(f"the account was answered with {answer.status}")
            return _account(answer.body, account_id)
        except Away as error:
            _log.warning("account %r cannot be asked for: %s", account_id, error)
            raise Unavailable("The account cannot be looked up.") from None


def _account(body: Mapping[str, Json], account_id: str) -> Account:
    organization, mode, status = body.get("org_id"), body.get("livemode"), body.get("status")
    if body.get("account_id") != account_id or not isinstance(mode, bool):
        raise Away("the account was answered with something else")
    if not isinstance(organization, str) or not isinstance(status, str):
        raise Away("the account was answered with something else")
    return Account(account_id, organization, mode, status)
