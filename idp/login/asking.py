"""Letters that strangers ask for: they are answered before anybody looks whom they mean (LOG-03).

What was asked for is written down as a job, the same for every name that can be typed; a worker finds out whose name
it is, and writes to them or to nobody. So no answer depends on it, nor the time that one takes.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from idp.credentials import allowances, guesses
from idp.login import identifiers
from idp.platform import clock, correlation, i18n, jobs
from idp.platform.correlation import Origin
from idp.platform.errors import Refusal
from idp.sessions import devices

LATEST = 30 * clock.MINUTE
"""How long after it was asked for a letter still makes sense."""

FROM_A_NETWORK = 30
"""Letters that may be asked for at once from one network; one more every two minutes."""

FOR_A_NAME = 10
"""The same for one name; one more every ten minutes."""

TO_A_PERSON = 3
"""Letters of one kind that one mailbox gets at once; one more as soon as a link that recovers has run out: whoever asks
in somebody's name all day keeps them without one at no time.
"""


class TooManyLetters(Refusal):
    """Somebody, or some network, has asked for too many letters (RFC 6585 §4)."""

    code = "too_many_letters"
    status = 429
    title = "Too many letters were asked for"
    remedy = "Look for those that are on their way, or wait a few minutes."
    retry_after = 360


@dataclass(frozen=True)
class Asked:
    """What was asked for. `typed`: a name in normal form; `sign_in` and `browser`: ids of what it is asked in;
    `language`: that of the page; `at`: when; the rest is of the request, as `correlation.Origin`.
    """

    typed: str
    sign_in: str
    browser: str
    language: str
    at: int
    request_id: str
    address: str
    user_agent: str

    @property
    def origin(self) -> Origin:
        """Where it was asked from."""
        return Origin(self.request_id, self.address, self.user_agent)

    @property
    def facts(self) -> dict[str, str | int]:
        """Where and when it was asked for, as letters say it."""
        return {"device": ", ".join(filter(None, devices.described(self.user_agent))), "at": self.at}


def ask(kind: str, typed: str, *, browser: str, sign_in: str) -> None:
    """Have a letter of that kind (of job) written to whom `typed` names, if anybody. Inside `database.writing()`.

    Raises `TooManyLetters` when too many were asked for from the network, whomever they name. Asked for too often for
    one name, nothing comes of it, and nobody is told so.
    """
    origin, name = correlation.current(), identifiers.normal(typed)
    network = guesses.network_of(origin.address)
    if not allowances.take(kind, network, at_once=FROM_A_NETWORK, refill=2 * clock.MINUTE):
        raise TooManyLetters
    if allowances.take(kind, identifiers.key(name), at_once=FOR_A_NAME, refill=10 * clock.MINUTE):
        asked = Asked(
            name, sign_in, browser, i18n.locale(), clock.now(), origin.request_id, origin.address, origin.user_agent
        )
        jobs.add(kind, asdict(asked))


def may_write(kind: str, whose: str) -> bool:
    """Whether one more letter of that kind may go to this person or mailbox. Inside `database.writing()`."""
    return allowances.take(f"{kind} letter", whose, at_once=TO_A_PERSON, refill=LATEST)


def look(asked: Asked, write: Callable[[Asked], None]) -> None:
    """Let `write` see whom it means, unless that is too long ago. Inside `database.writing()`."""
    if clock.now() - asked.at < LATEST:
        write(asked)
