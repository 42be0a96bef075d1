"""Mail by SMTP (RFC 5321, RFC 6409): one connection a letter, never for long.

Every certificate is checked, and a password is said only where nobody can listen. What a server answers may repeat
addresses and names: exceptions say what went wrong by their kind and by the number of the answer, so that logs hold
nothing else; who asks on the command line gets `answer`.
"""

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Final

from idp.platform import database, jobs
from idp.platform.mail.ways import Server

CONNECTING: Final = 10.0
"""Seconds that the server may be silent at each step until it is handed the message."""

ACCEPTING: Final = 60.0
"""Seconds that it may then take to say that it has it: who gives up too early sends twice."""

ALTOGETHER: Final = 150.0
"""Seconds for everything, however often a byte comes meanwhile."""


class NotSent(Exception):
    """The letter has not left; it is tried again. `answer`: what the server said, if it said anything."""

    def __init__(self, said: str = "", *, answer: str = "") -> None:
        super().__init__(said)
        self.answer = answer


class ServerAway(NotSent):
    """Nobody answers, or not in time, or the connection broke."""


class ServerUntrusted(NotSent):
    """The server's certificate is not one for its host, from somebody whom we trust."""


class TlsMissing(NotSent):
    """The server offers no encryption, and what is to be said to it must not be read by others."""


class LoginRefused(NotSent):
    """The server does not take the user and password of `IDP_MAIL`."""


class NotNow(NotSent):
    """The server refuses for the time being, or refuses us as senders: an operator may have something to mend."""


class Refused(NotSent, jobs.Hopeless):
    """The server refuses this letter for good (5xx to its address or content): the same will be so tomorrow."""


def send(message: EmailMessage, server: Server, *, our_name: str, trusting: ssl.SSLContext) -> str:
    """Hand `message` over; what the server answered. Not inside `database.writing()`. Raises `NotSent`.

    `our_name`: the host that we say we are. When this returns, the server has taken the letter over. When the
    connection breaks just before the server has said so, the letter may arrive twice, with the same Message-ID.
    """
    database.not_while_writing("sending mail")
    with _told_by_kind(), _connected(server, our_name, trusting) as connection:
        return _hand_over(connection, message)


def try_out(server: Server, *, our_name: str, trusting: ssl.SSLContext) -> None:
    """Connect and sign in, and send nothing. Raises `NotSent`."""
    with _told_by_kind(), _connected(server, our_name, trusting):
        pass


def trusted(extra: str | None) -> ssl.SSLContext:
    """Whose certificates count: those of the system, and those in the file `extra`."""
    context = ssl.create_default_context()
    if extra:
        context.load_verify_locations(extra)
    return context


@contextlib.contextmanager
def _connected(server: Server, our_name: str, trusting: ssl.SSLContext) -> Iterator[smtplib.SMTP]:
    """A connection over which the server knows us, as far as it has to."""
    connection = (
        smtplib.SMTP_SSL(local_hostname=our_name, timeout=CONNECTING, context=trusting)
        if server.implicit_tls
        else smtplib.SMTP(local_hostname=our_name, timeout=CONNECTING)
    )
    # what certificates are held against; the constructor that takes it connects at once
    connection._host = server.host  # type: ignore[attr-defined]
    patience = threading.Timer(ALTOGETHER, _hang_up, (connection,))
    patience.start()
    try:
        code, answer = connection.connect(server.host, server.port)
        _require(code, answer, 220)
        _introduce(connection, server, trusting)
        yield connection
        _say_goodbye(connection)
    finally:
        patience.cancel()
        connection.close()


def _introduce(connection: smtplib.SMTP, server: Server, trusting: ssl.SSLContext) -> None:
    connection.ehlo_or_helo_if_needed()
    is_private = server.implicit_tls
    if not is_private and connection.has_extn("starttls"):
        code, answer = connection.starttls(context=trusting)
        _require(code, answer, 220)
        connection.ehlo()
        is_private = True
    if not is_private and (server.needs_tls or (server.password and not server.is_here)):
        raise TlsMissing("the server does not offer STARTTLS")
    if server.user:
        connection.login(server.user, server.password)


def _hand_over(connection: smtplib.SMTP, message: EmailMessage) -> str:
    sender, to = (message[name].addresses[0].addr_spec for name in ("From", "To"))
    is_international = not (sender + to).isascii()
    if is_international and not connection.has_extn("smtputf8"):
        raise Refused("the server takes no address in other letters than ASCII")
    _require(*connection.mail(sender, ["SMTPUTF8"] if is_international else []), 250)
    code, answer = connection.rcpt(to)
    if code not in (250, 251):
        raise _refusal(code, answer)
    if connection.sock:
        connection.sock.settimeout(ACCEPTING)
    try:
        code, answer = connection.data(message.as_bytes())
    except smtplib.SMTPDataError as error:
        raise _refusal(error.smtp_code, error.smtp_error) from None
    if code != 250:
        raise _refusal(code, answer)
    return _words(code, answer)


def _say_goodbye(connection: smtplib.SMTP) -> None:
    """The letter is theirs already: nothing that goes wrong here may send it once more."""
    with contextlib.suppress(OSError):
        connection.quit()


def _hang_up(connection: smtplib.SMTP) -> None:
    """End a connection that a thread of ours waits on: it finds that there is nothing more to come."""
    with contextlib.suppress(OSError):
        if connection.sock:
            socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # not that of TLS, which its reader is using


def _require(code: int, answer: bytes | str, wanted: int) -> None:
    if code != wanted:
        raise NotNow(str(code), answer=_words(code, answer))


def _refusal(code: int, answer: bytes | str) -> NotSent:
    kind = Refused if 500 <= code < 600 else NotNow
    return kind(str(code), answer=_words(code, answer))


def _words(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return f"{code} {text}"


@contextlib.contextmanager
def _told_by_kind() -> Iterator[None]:
    """Say of every failure what it is, without the words in which others said it."""
    try:
        yield
    except ssl.SSLCertVerificationError:
        raise ServerUntrusted("the certificate is not for that host, or from nobody whom we trust") from None
    except smtplib.SMTPAuthenticationError as error:
        raise LoginRefused(str(error.smtp_code), answer=_words(error.smtp_code, error.smtp_error)) from None
    except smtplib.SMTPNotSupportedError:
        raise LoginRefused("the server asks for no password, or in no way that we know") from None
    except smtplib.SMTPResponseException as error:
        raise NotNow(str(error.smtp_code), answer=_words(error.smtp_code, error.smtp_error)) from None
    except (OSError, UnicodeError) as error:
        raise ServerAway(type(error).__name__) from None
