"""Mail on the command line: whether it arrives, and what keeps it from leaving."""

from pathlib import Path

import pytest
from flask import Flask

from idp.cli import start
from idp.cli.worker import handlers
from idp.platform import database, jobs, outbox
from idp.platform.outbox import Letter
from tests import mailboxes
from tests.cli.conftest import Idp
from tests.mailboxes import MailServer, mail_server  # noqa: F401 a fixture

BOB = "bob@northwind.test"


@pytest.fixture
def by_mail(environment: dict[str, str], mail_server: MailServer) -> MailServer:  # noqa: F811
    environment["IDP_MAIL"] = mail_server.url
    return mail_server


def test_a_letter_is_sent_now_and_what_the_server_says_is_shown(by_mail: MailServer, idp: Idp) -> None:
    assert idp("mail", "test", BOB).json == {"to": BOB, "answer": "250 taken"}
    assert by_mail.mails(BOB)[0].subject == "Mail arrives"


def test_what_a_server_has_against_it_is_shown(by_mail: MailServer, idp: Idp) -> None:
    by_mail.judge = lambda _: "550 5.7.1 we do not know you"
    told = idp("mail", "test", BOB, status=1).json
    assert told["error"] == "mail_not_sent"
    assert told["message"] == "Refused: 550 5.7.1 we do not know you"


def test_without_a_way_out_it_says_what_to_set(idp: Idp) -> None:
    told = idp("mail", "test", BOB, status=1).json
    assert told["error"] == "mail_off"
    assert "IDP_MAIL" in told["remedy"]


def test_what_is_no_address_is_refused(by_mail: MailServer, idp: Idp) -> None:
    assert idp("mail", "test", "bob", status=1).json["error"] == "invalid"
    assert by_mail.mails() == []


def test_a_directory_will_do(environment: dict[str, str], idp: Idp, tmp_path: Path) -> None:
    environment["IDP_MAIL"] = f"file:{tmp_path}/out"
    assert idp("mail", "test", BOB, "--language", "de").json["answer"].startswith("written to ")
    assert len(list((tmp_path / "out").iterdir())) == 1


def found(idp: Idp, check: str, *, status: int = 0) -> str:
    """What `idp doctor` says of one check, which is well if and only if the status is 0."""
    (line,) = [line for line in idp("doctor", status=status).json if line["check"] == check]
    assert line["ok"] is (status == 0)
    assert bool(line["remedy"]) is (status != 0)
    return str(line["found"])


def test_the_doctor_finds_nothing_where_all_is_well(app: Flask, by_mail: MailServer, idp: Idp) -> None:
    start.make_missing_keys()
    assert found(idp, "mail") == "by a mail server"
    assert by_mail.mails() == []


def test_the_doctor_says_that_mail_cannot_leave(environment: dict[str, str], idp: Idp) -> None:
    assert found(idp, "mail", status=1) == "Mail cannot leave"
    with mailboxes.serving() as gone:
        environment["IDP_MAIL"] = gone.url
    assert found(idp, "mail", status=1).startswith("ServerAway")


def test_the_doctor_says_that_a_directory_cannot_be_written_to(
    environment: dict[str, str], idp: Idp, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    environment["IDP_MAIL"] = f"file:{tmp_path}/file/out"
    assert found(idp, "mail", status=1) == "Not a directory"


def test_the_doctor_counts_what_has_failed_too_often(
    app: Flask, by_mail: MailServer, idp: Idp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_ATTEMPTS", 1)
    with database.writing():
        outbox.post(Letter("test", BOB, "en"))

    def fails(_: jobs.Claim) -> None:
        raise ConnectionError

    jobs.Worker(app, {outbox.KIND: fails}).work_once()
    assert found(idp, "jobs", status=1) == "1 parked"


def test_a_start_without_a_way_out_says_so_and_letters_are_left_alone(
    app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    with app.app_context():
        start._say_whether_mail_can_leave()
    assert "set IDP_MAIL" in capsys.readouterr().err
    assert outbox.KIND not in handlers(app)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IDP_MAIL", "smtp://"),
        ("IDP_MAIL", "smtp://mail:port"),
        ("IDP_MAIL", "imap://mail.example.com"),
        ("IDP_MAIL", "file:"),
        ("IDP_MAIL_FROM", "Canopy"),
        ("IDP_MAIL_FROM", "a@example.com, b@example.com"),
        ("IDP_MAIL_FROM", "Canopy <no-reply@example.com>\r\nBcc: x@example.com"),
    ],
)
def test_settings_that_cannot_be_meant_stop_the_start(
    environment: dict[str, str], idp: Idp, name: str, value: str
) -> None:
    environment[name] = value
    assert name in idp("config", "check", status=1).json["message"]


def test_letters_come_from_whom_the_operator_says(environment: dict[str, str], by_mail: MailServer, idp: Idp) -> None:
    environment["IDP_MAIL_FROM"] = "Northwind Sign-in <sign-in@northwind.test>"
    idp("mail", "test", BOB)
    assert by_mail.mails(BOB)[0].message["From"] == "Northwind Sign-in <sign-in@northwind.test>"
