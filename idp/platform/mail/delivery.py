"""Letters leave: the work of the job `mail`, and what becomes of letters that never could."""

import ssl
from email.message import EmailMessage
from urllib.parse import urlsplit

import structlog

from idp.platform import clock, database, identifiers, memory, outbox
from idp.platform.errors import NotFound, Unavailable
from idp.platform.jobs import Claim
from idp.platform.mail import folder, rendering, smtp, ways
from idp.platform.mail.ways import Folder, Server
from idp.platform.outbox import Letter
from idp.platform.settings import settings

log = structlog.get_logger()


class NoWayOut(Unavailable):
    """`IDP_MAIL` is empty: letters wait."""

    code = "mail_off"
    title = "Mail cannot leave"
    remedy = "Set IDP_MAIL, e.g. to smtp://user:password@mail.example.com:587, and start again."


def deliver(claim: Claim) -> None:
    """Send the letter of the job, and forget it in the transaction that says so. A `jobs.Handler`.

    One whose link or code works no more is dropped. Raises `smtp.NotSent`, and `OSError` when a directory cannot be
    written to: the job is tried again later.
    """
    id = str(claim.payload["letter"])
    try:
        posted = outbox.posted(id)
    except NotFound:
        return
    database.session().rollback()  # nobody waits for a mail server with a transaction open
    if posted.letter.expires_at is not None and clock.now() >= posted.letter.expires_at:
        log.warning("letter dropped: what it says has expired", letter=id, template=posted.letter.template)
    else:
        _send(posted.letter, id, posted.at)
        log.info("letter sent", letter=id, template=posted.letter.template)
    with database.writing():
        claim.finish()
        outbox.sent(id)


def try_letter(to: str, language: str) -> str:
    """Send a letter that says nothing but that mail arrives, now; what the server answered.

    Raises `NoWayOut`, `smtp.NotSent` and `OSError`.
    """
    return _send(Letter("test", to, language, {"at": clock.now()}), identifiers.letter(), clock.now())


def check() -> str:
    """See whether mail can leave, as far as that can be known without sending any; where it goes, in a word.

    Raises `NoWayOut`, `smtp.NotSent` and `OSError`.
    """
    way = _way()
    if isinstance(way, Folder):
        folder.require_writable(way.path)
        return "into a directory"
    smtp.try_out(way, our_name=_our_name(), trusting=_trust())
    return "by a mail server"


def _send(letter: Letter, id: str, posted_at: int) -> str:
    message = rendering.message_of(letter, id=id, posted_at=posted_at, settings=settings())
    return _hand_over(message, id, _way())


def _hand_over(message: EmailMessage, id: str, way: Server | Folder) -> str:
    if isinstance(way, Folder):
        folder.put(message, id, way.path)
        return f"written to {way.path / id}{folder.SUFFIX}"
    return smtp.send(message, way, our_name=_our_name(), trusting=_trust())


def _way() -> Server | Folder:
    found = ways.way_of(settings())
    if found is None:
        raise NoWayOut
    return found


def _our_name() -> str:
    return urlsplit(settings().issuer).hostname or "localhost"


class _Trust:
    """Of one application: whose certificates count."""

    def __init__(self) -> None:
        extra = settings().extra_ca_file
        self.context = smtp.trusted(str(extra) if extra else None)


def _trust() -> ssl.SSLContext:
    return memory.of(_Trust).context
