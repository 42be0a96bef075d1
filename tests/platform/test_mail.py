"""Letters leave: by a real mail server, in the clear and by TLS, with everything that servers do to their clients."""

import socket
import ssl
import threading
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import time_machine
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from flask import Flask
from sqlalchemy import select

from idp.cli.worker import handlers
from idp.platform import clock, database, jobs, memory, outbox
from idp.platform.jobs import Job, Worker
from idp.platform.mail import smtp, ways
from idp.platform.outbox import Letter, StoredLetter
from idp.platform.settings import configure, settings
from idp.platform.web_server import Tls
from tests import certificates, mailboxes
from tests.actors import Browser
from tests.login.conftest import made
from tests.mailboxes import MailServer, mail_server  # noqa: F401 a fixture

BOB: Final = "bob@northwind.test"
PASSWORD: Final = "Vt7-nB2.kq9/xR4"


def post(to: str = BOB, **given: object) -> str:
    said = {"path": "/recover/clink_1", "expires_at": clock.now() + clock.DAY} | given
    with database.writing():
        return outbox.post(Letter("recover", to, "en", **said))  # type: ignore[arg-type]


def use(app: Flask, url: str, **given: object) -> None:
    """Let mail leave by `url`."""
    app.extensions.pop(memory.EXTENSION, None)
    configure(app, settings().model_copy(update={"mail": url, **given}))


def job() -> Job:
    """The one job there is."""
    database.session().rollback()
    return database.session().scalars(select(Job)).one()


def waiting() -> list[str]:
    """The letters that have not left."""
    database.session().rollback()
    return list(database.session().scalars(select(StoredLetter.id)))


@pytest.fixture
def server(app: Flask, mail_server: MailServer) -> MailServer:  # noqa: F811
    """A mail server that takes everything, and by which mail leaves."""
    use(app, mail_server.url)
    return mail_server


# What happens to a letter


def test_a_letter_leaves_once_and_nothing_of_it_stays(app: Flask, server: MailServer) -> None:
    post()
    assert mailboxes.deliver(app) == 1
    (mail,) = server.mails(BOB)
    assert mail.link == f"{settings().issuer}/recover/clink_1"
    assert mailboxes.deliver(app) == 0
    assert waiting() == []


@pytest.mark.rule("WHK-02")
def test_a_letter_of_a_change_that_failed_never_leaves(app: Flask, server: MailServer) -> None:
    with pytest.raises(ZeroDivisionError), database.writing():
        outbox.post(Letter("test", BOB, "en"))
        _ = 1 // 0
    assert mailboxes.deliver(app) == 0


def test_what_has_expired_is_not_sent_any_more(app: Flask, server: MailServer) -> None:
    post(expires_at=clock.now() + clock.MINUTE)
    with time_machine.travel(clock.now() / clock.SECOND + 61, tick=False):
        assert mailboxes.deliver(app) == 1
    assert server.mails() == []
    assert waiting() == []


def test_without_a_way_out_letters_wait(app: Flask, mail_server: MailServer) -> None:  # noqa: F811
    post()
    assert mailboxes.deliver(app) == 0
    assert job().attempts == 0
    use(app, mail_server.url)
    assert mailboxes.deliver(app) == 1


def test_letters_become_files_that_nobody_else_can_read(app: Flask, tmp_path: Path) -> None:
    use(app, f"file:{tmp_path}/out")
    id = post()
    mailboxes.deliver(app)
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == f"{id}.eml"
    assert b"To: bob@northwind.test" in file.read_bytes()
    assert (file.stat().st_mode & 0o077, (tmp_path / "out").stat().st_mode & 0o077) == (0, 0)


# What servers do


@pytest.mark.rule("WHK-02")
def test_a_server_that_says_later_gets_it_later_and_once(app: Flask, server: MailServer) -> None:
    server.judge = lambda _: "451 4.3.0 come back later"
    post()
    assert mailboxes.deliver(app) == 1
    assert (job().attempts, job().last_error, job().parked_at) == (1, "NotNow", None)
    server.judge = lambda _: None
    with time_machine.travel(clock.now() / clock.SECOND + 60, tick=False):
        mailboxes.deliver(app)
    assert len(server.mails(BOB)) == 1


@pytest.mark.rule("WHK-02")
@pytest.mark.parametrize("answer", ["550 5.7.1 looks like spam", "552 5.3.4 too large"])
def test_what_is_refused_for_good_is_parked_at_once_and_kept(app: Flask, server: MailServer, answer: str) -> None:
    server.judge = lambda _: answer
    id = post()
    mailboxes.deliver(app)
    assert (job().attempts, job().last_error) == (1, "Refused")
    assert job().parked_at is not None
    assert waiting() == [id]


def test_one_mailbox_that_is_gone_holds_up_no_other(app: Flask, server: MailServer) -> None:
    async def rcpt(_: Any, __: Any, envelope: Envelope, address: str, options: list[str]) -> str:
        if address.startswith("gone@"):
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    server.handle_RCPT = rcpt  # type: ignore[attr-defined]
    post("gone@northwind.test")
    post()
    mailboxes.deliver(app)
    assert [mail.to for mail in server.mails()] == [BOB]
    assert [one.state for one in jobs.undone()] == ["parked"]


def test_a_parked_letter_is_cleaned_up_after_a_week_and_not_before(app: Flask, server: MailServer) -> None:
    server.judge = lambda _: "550 no"
    post()
    mailboxes.deliver(app)
    now = clock.now()
    for later, left in ((outbox.KEPT - clock.HOUR, 1), (outbox.KEPT + clock.HOUR, 0)):
        with time_machine.travel((now + later) / clock.SECOND, tick=False), database.writing():
            outbox.clean_up()
        assert len(waiting()) == left
    assert jobs.undone() == []


def test_a_letter_that_waits_for_its_time_is_not_cleaned_up(app: Flask) -> None:
    with database.writing():
        outbox.post(Letter("test", BOB, "en"), due_at=clock.now() + 30 * clock.DAY)
    with time_machine.travel((clock.now() + 20 * clock.DAY) / clock.SECOND, tick=False), database.writing():
        assert outbox.clean_up() == 0
    assert len(waiting()) == 1


@pytest.mark.rule("WHK-02")
def test_a_server_that_is_down_for_an_hour_loses_nothing_doubles_nothing_and_bothers_nobody(app: Flask) -> None:
    made("olivia", email="olivia@northwind.test")
    with mailboxes.serving() as away:
        use(app, away.url)
    for number in range(3):
        post(f"reader{number}@northwind.test")
    began = clock.now() / clock.SECOND
    with time_machine.travel(began, tick=False) as traveller:
        for _ in range(60):
            mailboxes.deliver(app)
            traveller.shift(60)
        assert len(waiting()) == 3
        assert [one.state for one in jobs.undone()] == ["waiting"] * 3
        assert Browser(app).sign_in("olivia").status == 200
        with mailboxes.serving() as back:
            use(app, back.url)
            for _ in range(130):
                mailboxes.deliver(app)
                traveller.shift(60)
            assert sorted(mail.to for mail in back.mails()) == [f"reader{n}@northwind.test" for n in range(3)]
    assert waiting() == []


class Odd:
    """A server that goes its own way: it says what it is told to, whatever it hears, one answer a line."""

    def __init__(self, *answers: str | None, greeting: str = "220 here", drips: bool = False) -> None:
        self._answers = answers
        self._greeting = greeting
        self._drips = drips
        self.heard: list[bytes] = []
        self.was_hung_up_on = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Odd":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection, connection.makefile("rb") as lines:
            try:
                self._talk(connection, lines)
            except OSError:
                return

    def _talk(self, connection: socket.socket, lines: Any) -> None:
        if self._drips:
            self._drip(connection)
            return
        connection.sendall(f"{self._greeting}\r\n".encode())
        for answer in self._answers:
            self.heard.append(lines.readline())
            if self.heard[-1].upper().startswith(b"DATA"):
                connection.sendall(b"354 go on\r\n")
                while lines.readline() not in (b".\r\n", b""):
                    pass
            if answer is None:
                return
            connection.sendall(f"{answer}\r\n".encode())
        self._over.wait(10)

    def _drip(self, connection: socket.socket) -> None:
        """A byte now and then, for as long as anybody listens, but not for ever."""
        for _ in range(200):
            try:
                connection.sendall(b"2")
            except OSError:
                self.was_hung_up_on = True
                return
            self._over.wait(0.05)


FINE: Final = ("250 hello", "250 sender", "250 recipient")


@pytest.mark.rule("WHK-02")
@pytest.mark.parametrize(
    ("answers", "state", "error"),
    [
        (("250 hello", None), "waiting", "ServerAway"),
        ((*FINE, None), "waiting", "ServerAway"),
        ((*FINE, "421 going down"), "waiting", "NotNow"),
        ((*FINE, "999 what"), "waiting", "NotNow"),
        (("250 hello", "550 you are no sender"), "waiting", "NotNow"),
        (("502 no", "502 no"), "waiting", "NotNow"),
    ],
    ids=["cut-off", "cut-off-after-the-letter", "going-down", "nonsense", "sender-refused", "no-greeting"],
)
def test_whatever_a_server_does_the_letter_is_tried_again(
    app: Flask, answers: tuple[str | None, ...], state: str, error: str
) -> None:
    id = post()
    with Odd(*answers) as odd:
        use(app, odd.url)
        mailboxes.deliver(app)
    assert (jobs.undone()[0].state, job().last_error) == (state, error)
    assert waiting() == [id]


@pytest.mark.parametrize("goodbye", ["554 what do you mean", None])
def test_a_letter_that_was_taken_is_not_sent_again_because_of_a_bad_goodbye(app: Flask, goodbye: str | None) -> None:
    post()
    with Odd(*FINE, "250 taken", goodbye) as odd:
        use(app, odd.url)
        mailboxes.deliver(app)
    assert waiting() == []
    assert job().done_at is not None


def test_a_server_that_says_nothing_is_not_waited_for(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "CONNECTING", 0.2)
    post()
    with Odd("250 hello") as odd:
        use(app, odd.url)
        mailboxes.deliver(app)
    assert job().last_error == "ServerAway"


def test_a_server_that_speaks_a_byte_at_a_time_is_hung_up_on(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "ALTOGETHER", 0.5)
    post()
    with Odd(drips=True) as odd:
        use(app, odd.url)
        mailboxes.deliver(app)
    assert odd.was_hung_up_on
    assert [one.state for one in jobs.undone()] == ["waiting"]


def test_nothing_of_a_letter_stands_in_the_log(
    app: Flask, server: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.judge = lambda _: "451 4.3.0 mailbox bob@northwind.test at mx7.internal is busy"
    use(app, address_of(server, host="127.0.0.1", password=PASSWORD))
    post()
    mailboxes.deliver(app)
    told = capsys.readouterr().err + job().last_error
    assert "LoginRefused" in told
    for secret in (BOB, "clink_1", PASSWORD, "127.0.0.1", "mx7"):
        assert secret not in told


# TLS and passwords


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate for `localhost` that only whoever is told to trusts."""
    return certificates.self_signed(tmp_path_factory.mktemp("tls"))


def tls_of(one: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(one.certificate, one.key)
    return context


def knows_the_password(_: SMTP, __: Any, ___: Any, ____: str, shown: Any) -> AuthResult:
    is_right = isinstance(shown, LoginPassword) and (shown.login, shown.password) == (b"canopy", PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


def address_of(server: MailServer, *, scheme: str = "smtp", host: str = "localhost", password: str = "") -> str:
    user = f"canopy:{quote(password, safe='')}@" if password else ""
    return f"{scheme}://{user}{host}:{server.port}"


def sent(app: Flask, server: MailServer) -> str:
    """Have one letter leave; why it did not, or nothing."""
    post()
    mailboxes.deliver(app)
    assert len(server.mails(BOB)) == int(not job().last_error)
    return job().last_error


def test_encryption_is_used_where_it_is_offered(app: Flask, own: Tls) -> None:
    with mailboxes.serving(tls_context=tls_of(own), require_starttls=True) as server:
        use(app, address_of(server), extra_ca_file=own.certificate)
        assert sent(app, server) == ""


def test_encryption_from_the_first_byte_on(app: Flask, own: Tls) -> None:
    with mailboxes.serving(ssl_context=tls_of(own)) as server:
        use(app, address_of(server, scheme="smtps"), extra_ca_file=own.certificate)
        assert sent(app, server) == ""


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_of_somebody_else_gets_no_letter(app: Flask, own: Tls, scheme: str, host: str) -> None:
    """On `localhost` it is from nobody whom we trust; at the address it is not for that host."""
    secured = {"ssl_context": tls_of(own)} if scheme == "smtps" else {"tls_context": tls_of(own)}
    trusts = {} if host == "localhost" else {"extra_ca_file": own.certificate}
    with mailboxes.serving(**secured) as server:
        use(app, address_of(server, scheme=scheme, host=host), **trusts)
        assert sent(app, server) == "ServerUntrusted"


@pytest.mark.parametrize("password", [PASSWORD, "wrong", ""])
def test_a_server_that_wants_a_password_gets_it(app: Flask, own: Tls, password: str) -> None:
    given = {"authenticator": knows_the_password, "auth_required": True, "tls_context": tls_of(own)}
    with mailboxes.serving(**given) as server:
        use(app, address_of(server, password=password), extra_ca_file=own.certificate)
        assert sent(app, server) == {PASSWORD: "", "wrong": "LoginRefused", "": "NotNow"}[password]
        assert jobs.undone() == [] or jobs.undone()[0].state == "waiting"


def test_where_others_could_listen_nothing_is_said_in_the_clear(app: Flask) -> None:
    def hand_over(server: ways.Server) -> None:
        message = EmailMessage()
        message["From"], message["To"] = "a@example.com", "b@example.com"
        smtp.send(message, server, our_name="id.example.com", trusting=smtp.trusted(None))

    with mailboxes.serving() as plain:
        hand_over(ways.Server("127.0.0.1", plain.port, implicit_tls=False, needs_tls=False))
        with pytest.raises(smtp.TlsMissing):
            hand_over(ways.Server("127.0.0.1", plain.port, implicit_tls=False, needs_tls=True))
        assert len(plain.mails()) == 1


@pytest.mark.parametrize(
    ("url", "issuer", "needs_tls"),
    [
        ("smtp://mail.example.com", "https://id.example.com", True),
        ("smtp://10.0.0.5:25", "https://id.example.com", True),
        ("smtp://127.0.0.1:25", "https://id.example.com", False),
        ("smtp://localhost", "https://id.example.com", False),
        ("smtp://mail:1025", "http://localhost:8000", False),
    ],
)
def test_only_on_this_machine_and_for_a_trial_is_encryption_not_required(
    app: Flask, url: str, issuer: str, needs_tls: bool
) -> None:
    way = ways.way_of(settings().model_copy(update={"mail": url, "issuer": issuer}))
    assert isinstance(way, ways.Server)
    assert way.needs_tls is needs_tls


def test_a_password_is_not_said_in_the_clear_to_another_machine_not_even_in_a_trial(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mailboxes.serving(authenticator=knows_the_password, auth_require_tls=False) as server:
        use(app, address_of(server, host="127.0.0.1", password=PASSWORD))
        monkeypatch.setattr(ways.Server, "is_here", False)
        assert sent(app, server) == "TlsMissing"


def test_settings_are_read_as_they_are_written(app: Flask) -> None:
    way = ways.way_of(settings().model_copy(update={"mail": "smtps://canopy:a%2Fb%40c@mail.example.com"}))
    assert way == ways.Server("mail.example.com", 465, True, False, "canopy", "a/b@c")
    assert "a/b@c" not in repr(way)


# In the background, as a worker does it


def test_a_worker_sends_what_is_posted(app: Flask, server: MailServer) -> None:
    with mailboxes.delivering(app):
        post()
        assert server.wait_for(BOB, "password").link.endswith("/recover/clink_1")


def test_letters_that_leave_at_once_by_two_workers_leave_once(app: Flask, server: MailServer) -> None:
    readers = [f"reader{number}@northwind.test" for number in range(12)]
    for reader in readers:
        post(reader)
    workers = [Worker(app, handlers(app), every=0.02, threads=2) for _ in range(2)]
    for worker in workers:
        worker.start()
    for reader in readers:
        server.wait_for(reader)
    for worker in workers:
        worker.stop()
    assert sorted(mail.to for mail in server.mails()) == sorted(readers)


# Links (RST-03)


FORGED: Final = {
    "host": ({"Host": "evil.example"}, "/recover"),
    "forwarded-host": ({"X-Forwarded-Host": "evil.example", "X-Original-Host": "evil.example"}, "/recover"),
    "forwarded": ({"Forwarded": "host=evil.example;proto=https"}, "/recover"),
    "forwarded-proto": ({"X-Forwarded-Proto": "gopher", "X-Forwarded-Port": "666"}, "/recover"),
    "absolute": ({}, "http://evil.example/recover"),
    "two-slashes": ({}, "//evil.example/recover"),
}


@pytest.mark.rule("RST-03")
@pytest.mark.parametrize(("forged", "target"), FORGED.values(), ids=FORGED)
def test_links_are_ours_whatever_the_request_calls_us(
    app: Flask, server: MailServer, forged: dict[str, str], target: str
) -> None:
    made("olivia", email="olivia@northwind.test")
    browser = Browser(app)
    page = browser.get("/recover")
    form = page.form("username")
    answer = browser.client.open(
        "/recover", method="POST", data=form.fields | {"username": "olivia"}, headers=forged,
        environ_overrides={"REMOTE_ADDR": "192.0.2.1", "REQUEST_URI": target, "RAW_URI": target},
    )  # fmt: skip
    mailboxes.deliver(app)
    if answer.status_code in (400, 421):
        assert server.mails() == []
        assert forged.get("Host")
        return
    mailboxes.deliver(app)
    (mail,) = server.mails("olivia@northwind.test")
    assert all(link.startswith(f"{settings().issuer}/") for link in mail.links)
    assert "evil" not in mail.text + mail.html
