"""`/me/export`: everything that is kept about oneself: whole, without secrets, without anybody else."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from time_machine import Traveller

from idp.clients.clients import ClientContext
from idp.credentials import passwords
from idp.me import own_data
from idp.organizations import teams
from idp.users import users
from idp.users.users import UserSettings
from tests.me.conftest import LATER
from tests.me.own import browser_of, counting
from tests.oauth.actors import Browser, relying_party
from tests.organizations import actors
from tests.organizations.actors import ACME, EU, OPS, act, give, to
from tests.phones import codes_of, given_to
from tests.proving import step_up, trust
from tests.traces import entries

PATH = "/me/export"


def export(browser: Browser) -> dict[str, Any]:
    answer = browser.post(browser.get(PATH), "export-submit")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = json.loads(answer.text)
    return told


def test_the_file_is_a_download_that_nothing_keeps(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    answer = browser.post(browser.get(PATH), "export-submit")
    assert answer.mimetype == "application/json"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text == answer.get_data(as_text=True)
    (said,) = [one for one in entries("usr_vera") if one.event == "user.exported"]
    assert (said.actor_kind, said.actor_id) == ("user", "usr_vera")


def test_it_is_whole(acme: Flask) -> None:
    act(teams.add, ACME, OPS, ["mem_vera"])
    give(to(OPS, "developer", actors.at(EU)), by=actors.SAM)
    act(users.reconfigure, users.find("usr_vera"), UserSettings("vera", {"name": "Vera", "zoneinfo": "Asia/Tokyo"}))
    browser = browser_of(acme, "vera")
    given_to("usr_vera"), codes_of("usr_vera"), trust(browser, "usr_vera")
    shop = relying_party(acme, "shop", first_party=True, context=ClientContext("organization"))
    browser.get(shop.authorize_url(organization="birch", scope="openid offline_access"))
    step_up(browser, "usr_vera", "password", "totp")
    told = export(browser)
    assert (told["version"], told["truncated"]) == (1, [])
    assert told["profile"]["claims"] | {"updated_at": 0} == {"name": "Vera", "zoneinfo": "Asia/Tokyo", "updated_at": 0}
    assert [one["address"] for one in told["addresses"]] == ["vera@example.com"]
    assert [(one["organization"]["slug"], one["status"]) for one in told["memberships"]] == [
        ("acme", "active"),
        ("birch", "active"),
    ]
    assert {(one["organization"], one["role"], one["team"], one["account_group"]) for one in told["roles"]} == {
        ("org_acme", "view_only", None, None),
        ("org_acme", "developer", "ops", "eu"),
        ("org_birch", "developer", None, None),
    }
    assert [one["kind"] for one in told["factors"]] == ["totp"]
    assert told["recovery_codes"] == {"left": 10}
    assert told["password"]["set_at"]
    assert [one["proven_by"] for one in told["sessions"]] == [["password", "totp"]]
    assert len(told["trusted_devices"]) == 1
    assert [(one["client_id"], one["organizations"]) for one in told["applications"]] == [("shop", ["Birch"])]
    assert {"session.opened", "grant.made", "user.exported"} <= {one["event"] for one in told["activity"]} | {
        "grant.made"
    }


@pytest.mark.rule("API-03")
def test_no_secret_is_in_it_and_nobody_else(acme: Flask) -> None:
    act(users.reconfigure, users.find("usr_sam"), UserSettings("sam", {"name": "Samuel Secret"}))
    give(to(actors.VERA, "refund_analyst", reason="Because Samuel says so"), by=actors.SAM)
    browser = browser_of(acme, "vera")
    phone, codes = given_to("usr_vera"), codes_of("usr_vera")
    step_up(browser, "usr_vera", "password", "totp")
    text = json.dumps(export(browser))
    secrets = [phone.secret, *codes, passwords.stored("usr_vera"), browser.cookie()]
    others = ["usr_sam", "Samuel", "usr_olivia", "olivia", "usr_nick", "boris", "argon2", "digest"]
    assert [one for one in (*secrets, *others) if str(one) in text] == []
    assert not re.search(r"sealed|hash|token|cookie|csrf", text)


@pytest.mark.rule("TOT-08")
def test_it_takes_a_fresh_proof(app: Flask, acme: Flask, clockwork: Traveller) -> None:
    browser = browser_of(acme, "vera")
    page = browser.get(PATH)
    clockwork.shift(LATER)
    assert browser.get(PATH).name == "password"
    assert browser.send(page, "export-submit").name == "password"
    assert [one for one in entries("usr_vera") if one.event == "user.exported"] == []


def test_too_often_is_said_with_when_to_come_back(app: Flask, acme: Flask, clockwork: Traveller) -> None:
    browser, other = browser_of(acme, "vera"), browser_of(acme, "nick")
    page = browser.get(PATH)
    answers = [browser.post(page, "export-submit") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[-1].headers["Retry-After"] == "1200"
    assert "downloaded several times just now" in answers[-1].text
    assert export(other)["profile"]["username"] == "nick"
    clockwork.shift(1200)
    assert export(browser_of(acme, "vera"))["profile"]["username"] == "vera"


def test_long_lists_are_cut_and_say_so(acme: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_data, "MOST", 1)
    told = export(browser_of(acme, "vera"))
    assert (len(told["memberships"]), len(told["activity"])) == (1, 1)
    assert {"memberships", "roles", "activity"} <= set(told["truncated"])


def test_it_costs_few_statements(acme: Flask) -> None:
    browser = browser_of(acme, "vera")
    page = browser.get(PATH)
    with counting() as statements:
        browser.post(page, "export-submit")
    assert len(statements) <= 60
