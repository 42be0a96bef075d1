"""The mail of the demo: there for whoever tries the provider out on this machine, and nowhere else."""

from pathlib import Path
from typing import Any

import pytest

from idp.platform import clock, outbox, schema
from idp.platform import database as data
from idp.platform.outbox import Letter
from tests import mailboxes
from tests.platform import sites
from tests.platform.sites import Site

EVIL = "<script>alert(1)</script> https://evil.example"


def a_letter(site: Site) -> str:
    with site.app.app_context():
        schema.upgrade()
        with data.writing():
            facts = {"organization": EVIL, "inviter": EVIL, "roles": "", "message": EVIL}
            ends = clock.now() + clock.DAY
            path = "/invitations/cinv_1"
            id = outbox.post(Letter("invitation", "bob@northwind.test", "en", facts, path, expires_at=ends))
        mailboxes.deliver(site.app)
        data.db.session.remove()
    return id


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    return {"issuer": "http://localhost:8000", "rules": "development", "mail": f"file:{tmp_path}/mail"}


def test_whoever_tries_it_out_reads_what_people_would(tmp_path: Path, given: dict[str, Any]) -> None:
    with sites.site(tmp_path, **given) as site:
        assert "Nothing has been sent yet" in site.client.get("/demo/mail").text
        name = a_letter(site)
        listed = site.client.get("/demo/mail").text
        assert name in listed
        assert " UTC</bdi>" in listed
        page = site.client.get(f"/demo/mail/{name}")
        assert "http://localhost:8000/invitations/cinv_1" in page.text
        assert "<script" not in page.text


def test_a_letter_in_its_frame_runs_nothing_and_fetches_nothing(tmp_path: Path, given: dict[str, Any]) -> None:
    with sites.site(tmp_path, **given) as site:
        name = a_letter(site)
        page, framed = site.client.get(f"/demo/mail/{name}"), site.client.get(f"/demo/mail/{name}/html")
        assert 'sandbox="allow-top-navigation-by-user-activation"' in page.text
        assert "<script" not in framed.text
        policy = framed.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'")
        assert "sandbox" in policy
        assert "script" not in policy


@pytest.mark.parametrize(
    ("changed", "address"),
    [
        ({"rules": "production"}, "127.0.0.1"),
        ({"rules": "production", "issuer": "https://id.example.com"}, "127.0.0.1"),
        ({"mail": "smtp://127.0.0.1:25"}, "127.0.0.1"),
        ({"mail": ""}, "127.0.0.1"),
        ({}, "192.0.2.7"),
    ],
    ids=["production", "elsewhere", "by-smtp", "no-mail", "another-machine"],
)
@pytest.mark.parametrize("path", ["/demo/mail", "/demo/mail/letter_1", "/demo/mail/letter_1/html"])
def test_it_is_nowhere_else(
    tmp_path: Path, given: dict[str, Any], changed: dict[str, Any], address: str, path: str
) -> None:
    with sites.site(tmp_path, **(given | changed)) as site:
        host = site.app.config["SERVER_NAME"]
        answer = site.client.get(path, headers={"Host": host}, environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == 404


@pytest.mark.parametrize("name", ["..%2Fsecret_key", "%2e%2e", ".hidden", "a.b", "x" * 200, "letter_1%00"])
def test_no_other_file_is_read(tmp_path: Path, given: dict[str, Any], name: str) -> None:
    (tmp_path / "secret_key.eml").write_text("Subject: secret\n\nsecret")
    with sites.site(tmp_path, **given) as site:
        a_letter(site)
        answer = site.client.get(f"/demo/mail/{name}")
        assert answer.status_code in (400, 404)
        assert "secret" not in answer.text.replace("secret_key", "")
