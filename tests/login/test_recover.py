"""`/recover`: a forgotten password, the mistakes people make with it, and what others try with it."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, select, update

from idp.audit.models import EntryDetail
from idp.credentials import hashing, mailed_links, not_me, passwords
from idp.credentials.models import MailedLink, Password
from idp.login import recovering, transactions
from idp.login.demands import Demand
from idp.organizations import domains, organizations
from idp.organizations.organizations import OrganizationSettings
from idp.platform import clock, database, jobs
from idp.platform.jobs import Job
from idp.platform.mail import rendering
from idp.platform.settings import settings
from idp.sessions import browsers, trusted_devices
from idp.sessions.models import Browser as BrowserRow
from idp.sessions.models import BrowserSession
from idp.users import addresses, lifecycle, users
from idp.users.models import Address
from tests import asking, mailboxes, phones, proving
from tests.actors import GOOD, Browser, Page, transaction_in
from tests.flows.test_sameness import said
from tests.login.conftest import made
from tests.login.test_sign_in import asked_for, sessions_in
from tests.oauth import minting
from tests.oauth.actors import Browser as Visitor
from tests.oauth.actors import relying_party
from tests.traces import OPERATOR, entries, events

NEW = "staple battery horse correct"
MAILBOX = "olivia@northwind.test"


def ask(browser: Browser, name: str = MAILBOX, path: str = "/recover") -> Page:
    """The page that says that a letter may be on its way."""
    page = browser.send(browser.get(path), "username", username=name)
    assert (page.status, page.name, page.heading) == (200, "recover", "Check your mail")
    return page


def mailed(browser: Browser, name: str = MAILBOX, path: str = "/recover") -> str:
    """The path that was mailed to Olivia."""
    ask(browser, name, path)
    return asking.link(MAILBOX)


def recover(browser: Browser, path: str, password: str | list[str] = NEW) -> Page:
    """Open the link, and choose a password."""
    page = browser.get(path)
    assert (page.status, page.heading) == (200, "Choose a new password"), page.text
    return browser.send(page, "password", password=password)


def is_void(page: Page) -> bool:
    """Whether the page says that the link cannot be used, and leads on."""
    told = (page.status, page.name, page.body.get("data-error"))
    return told == (410, "error", "link_void") and "/recover" in [link["href"] for link in page.links]


# The story


def test_somebody_forgets_their_password_and_signs_in_with_another(browser: Browser, olivia: str) -> None:
    page = browser.get("/login")
    (trouble,) = [link["href"] for link in page.links if link["href"].startswith("/recover")]
    page = browser.get(trouble)
    assert (page.name, page.heading, page.title) == ("recover", "Reset your password", "Reset your password - Canopy")
    assert recover(browser, mailed(browser, path=trouble)).path == "/me"
    (session,) = sessions_in(browser)
    assert [proof.method for proof in session.proofs] == ["password"]
    browser.get("/me")
    browser.send(browser.get("/logout"), "logout-confirm")
    assert browser.sign_in("olivia", GOOD).alerts == 1
    assert browser.sign_in("olivia", NEW).name == "me"
    told = [one for one in events(olivia) if one.startswith(("user.recover", "user.password"))]
    assert told == ["user.password.set", "user.recovery.mailed", "user.password.set", "user.recovered"]
    assert database.session().get_one(Password, olivia).by_mail == 1


def test_a_password_that_is_chosen_otherwise_was_not_set_by_mail(browser: Browser, olivia: str) -> None:
    recover(browser, mailed(browser))
    with database.writing():
        passwords.store(olivia, passwords.stored(olivia)[:-4] + "AAAA", by=OPERATOR)
    assert database.session().get_one(Password, olivia, populate_existing=True).by_mail == 0


@pytest.mark.parametrize("name", ["olivia", " OLIVIA@NorthWind.Test ", "Olivia"])
def test_a_name_is_taken_as_signing_in_takes_it(browser: Browser, olivia: str, name: str) -> None:
    assert recover(browser, mailed(browser, name)).path == "/me"


def test_the_way_back_to_the_application_is_kept(browser: Browser, olivia: str) -> None:
    address = asked_for(browser, Demand(targets=("https://ledger.test",)), return_to="/me?from=ledger")
    page = browser.get(address.replace("/login", "/recover"))
    assert page.title == "Reset your password - Ledger - Canopy"
    link = mailed(browser, path=page.address)
    opened = browser.get(link)
    assert opened.title == "Choose a new password - Ledger - Canopy"
    assert "form-action 'self' https://ledger.test" in opened.response.headers["Content-Security-Policy"]
    assert recover(browser, link).address == "/me?from=ledger"


def test_a_sign_in_that_ran_out_meanwhile_leads_back_all_the_same(browser: Browser, olivia: str) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as time:
        address = asked_for(browser, Demand(), return_to="/me?from=ledger")
        time.shift(25 * 60)
        link = mailed(browser, path=address.replace("/login", "/recover"))
        time.shift(10 * 60)
        assert recover(browser, link).address == "/me?from=ledger"


def test_a_sign_in_that_is_over_is_not_asked_about(browser: Browser, olivia: str) -> None:
    page = browser.get("/recover?txn=txn_nothing")
    assert (page.status, page.address, page.name) == (200, "/recover", "recover")


def test_who_has_no_password_gets_one_and_keeps_their_passkeys(browser: Browser) -> None:
    nick = made("nick", email=MAILBOX, password=False)
    proving.set_up(nick, "passkey")
    page = recover(browser, mailed(browser))
    assert (page.path, page.name) == ("/login/verify", "verify")
    assert sessions_in(browser) == []


# What is mistaken


def test_nothing_entered_is_told_and_nothing_is_asked_for(browser: Browser, olivia: str) -> None:
    page = browser.send(browser.get("/recover"), "username", username=" ")
    assert (page.status, page.alerts, page.title) == (422, 1, "Error: Reset your password - Canopy")
    assert asking.answer() == 0


@pytest.mark.rule("PWD-01", "PWD-03")
def test_a_password_that_will_not_do_is_asked_for_again(browser: Browser, olivia: str) -> None:
    link = mailed(browser)
    before = passwords.which(olivia)
    for password in ("", "too short", "olivia@northwind.test", "passwordpassword", "x" * 2_000, [NEW, NEW]):
        page = recover(browser, link, password)
        assert (page.status, page.name, page.alerts) == (422, "recover", 1), password
    assert passwords.which(olivia) == before
    assert browser.send(page, "password", password=NEW).path == "/me"


def test_while_too_many_sign_in_the_link_stays_good(
    browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = mailed(browser)
    page = browser.get(link)
    with monkeypatch.context() as patch:

        def busy(_: str) -> str:
            raise hashing.TooBusy

        patch.setattr(hashing, "make", busy)
        told = browser.send(page, "password", password=NEW)
    assert (told.status, told.alerts, "Retry-After" in told.response.headers) == (503, 1, True)
    assert browser.send(told, "password", password=NEW).path == "/me"


def test_in_another_browser_the_link_works_and_says_so(browser: Browser, other: Browser, olivia: str) -> None:
    link = mailed(browser)
    assert 'id="elsewhere"' not in browser.get(link).text
    page = other.get(link)
    assert 'id="elsewhere"' in page.text
    assert other.send(page, "password", password=NEW).path == "/me"
    assert (len(sessions_in(other)), len(sessions_in(browser))) == (1, 0)


def test_who_else_is_signed_in_is_named_and_is_not_the_one_who_goes_on(browser: Browser, olivia: str, bob: str) -> None:
    link = mailed(browser)
    browser.sign_in("bob")
    page = browser.get(link)
    assert "<bdi>bob</bdi> is signed in in this browser" in page.text
    assert passwords.which(bob)
    before = passwords.which(bob)
    assert browser.send(page, "password", password=NEW).heading == "Olivia Lund"
    assert [one.user_id for one in sessions_in(browser)] == [olivia, bob]
    assert passwords.which(bob) == before


def test_a_sign_in_that_is_for_somebody_else_is_not_completed(browser: Browser, olivia: str, bob: str) -> None:
    link = mailed(browser, path=asked_for(browser, Demand(person=bob)).replace("/login", "/recover"))
    page = recover(browser, link)
    assert (page.name, page.alerts) == ("login", 1)
    assert sessions_in(browser) == []


def test_a_sign_in_that_somebody_else_has_completed_is_left_alone(browser: Browser, olivia: str, bob: str) -> None:
    address = asked_for(browser, Demand(context="organization", forced=True), return_to="/me?from=ledger")
    link = mailed(browser, path=address.replace("/login", "/recover"))
    choosing = browser.sign_in("bob", path=address)
    assert choosing.name == "select"
    assert recover(browser, link).address == "/me"
    assert browser.get(choosing.address).name == "select"


# What the link is worth (RST-01)


@pytest.mark.rule("RST-01", "TOT-05")
def test_no_session_begins_before_the_second_factor_also_in_a_trusted_browser(browser: Browser, olivia: str) -> None:
    phone = phones.given_to(olivia)
    page = browser.sign_in("olivia")
    assert browser.send(page, "otp", otp=phone.code(), trust="yes").path == "/me"
    browser.send(browser.get("/logout"), "logout-confirm")
    page = recover(browser, mailed(browser))
    assert (page.name, page.path) == ("otp", "/login/verify")
    assert sessions_in(browser) == []
    for path in ("/me", "/me/security", "/select"):
        assert browser.get(path).name == "login", path
    assert browser.send(page, "otp", otp=phone.wrong()).name == "otp"
    assert browser.send(page, "otp", otp=phone.code(1)).path == "/me"
    (session,) = sessions_in(browser)
    assert {proof.method for proof in session.proofs} == {"password", "totp"}


@pytest.mark.rule("TOT-07")
def test_where_two_factors_are_demanded_a_recovered_password_is_one(browser: Browser, olivia: str) -> None:
    address = asked_for(browser, Demand(least="aal2"))
    page = recover(browser, mailed(browser, path=address.replace("/login", "/recover")))
    assert (page.name, page.path) == ("enrol", "/login/enrol")
    assert sessions_in(browser) == []


@pytest.mark.rule("RST-01", "SES-07")
def test_a_recovered_password_ends_every_session_and_all_trust(browser: Browser, other: Browser, olivia: str) -> None:
    other.sign_in("olivia")
    trusted_id = proving.trust(other, olivia)
    browser.sign_in("olivia")
    (mine,) = sessions_in(browser)
    recover(browser, mailed(browser))
    assert sessions_in(other) == []
    assert trusted_devices.given_for(trusted_id) is None
    assert [one.id for one in sessions_in(browser)] != [mine.id]
    ended = [one.after_json for one in entries(mine.id) if one.event == "session.ended"]
    assert "password_changed" in ended[0]


@pytest.mark.rule("RST-01")
def test_what_was_proven_with_the_old_password_goes_no_further(browser: Browser, other: Browser, olivia: str) -> None:
    phone = phones.given_to(olivia)
    halfway = other.sign_in("olivia")
    assert halfway.name == "otp"
    recover(browser, mailed(browser))
    assert other.send(halfway, "otp", otp=phone.code()).name == "password"
    assert sessions_in(other) == []


@pytest.mark.rule("RST-01")
def test_a_link_works_once_and_ends_the_others(browser: Browser, other: Browser, olivia: str) -> None:
    first, second = mailed(browser), mailed(browser)
    opened = other.get(second)
    assert recover(browser, first).path == "/me"
    chosen = passwords.which(olivia)
    for path in (first, second):
        assert is_void(browser.get(path)), path
    assert is_void(other.send(opened, "password", password="something else entirely"))
    assert passwords.which(olivia) == chosen


@pytest.mark.rule("RST-01")
def test_a_used_link_and_those_it_ended_stay_dead_also_when_the_old_password_comes_back(
    browser: Browser, olivia: str
) -> None:
    before = passwords.stored(olivia)
    links = mailed(browser), mailed(browser)
    recover(browser, links[0])
    with database.writing():
        passwords.store(olivia, before, by=OPERATOR)
    for link in links:
        assert is_void(browser.get(link)), link


@pytest.mark.rule("RST-01")
def test_of_two_who_use_a_link_at_once_one_does(app: Flask, browser: Browser, other: Browser, olivia: str) -> None:
    link = mailed(browser)
    pages = [(one, one.get(link)) for one in (browser, other)]
    start, statuses = threading.Barrier(2), []

    def use(whose: Browser, page: Page) -> None:
        with app.app_context():
            start.wait()
            statuses.append(whose.post(page, "password", password=NEW).status_code)
            database.session().rollback()

    threads = [threading.Thread(target=use, args=one) for one in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303, 410]
    assert events(olivia).count("user.recovered") == 1


@pytest.mark.rule("RST-01")
def test_a_link_lives_for_thirty_minutes(browser: Browser, olivia: str) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as time:
        link = mailed(browser)
        time.shift(30 * 60 - 1)
        page = browser.get(link)
        assert page.status == 200
        time.shift(1)
        assert is_void(browser.get(link))
        assert is_void(browser.send(page, "password", password=NEW))


def change_password(olivia: str) -> None:
    passwords.store(olivia, passwords.stored(olivia)[:-4] + "AAAA", by=OPERATOR)


def remove_password(olivia: str) -> None:
    passwords.remove(olivia, by=OPERATOR)


def disable(olivia: str) -> None:
    lifecycle.disable(users.find(olivia), by=OPERATOR)


def delete(olivia: str) -> None:
    lifecycle.delete(users.find(olivia), by=OPERATOR)


def another_primary(olivia: str) -> None:
    person = users.find(olivia)
    addresses.make_primary(person, addresses.add(person, "o@lund.test", verified=True, by=OPERATOR), by=OPERATOR)


def address_gone(olivia: str) -> None:
    another_primary(olivia)
    addresses.remove(users.find(olivia), addresses.find(olivia, MAILBOX), by=OPERATOR)


def address_left(olivia: str) -> None:
    address = addresses.find(olivia, MAILBOX)
    database.session().execute(update(Address).where(Address.id == address.id).values(leaves_at=clock.now()))


def managed_by_others(_: str) -> None:
    otto = users.create(users.UserSettings("otto"), by=OPERATOR)
    organizations.found(OrganizationSettings("northwind", "Northwind"), otto.id, id="org_northwind", by=OPERATOR)
    domains.confirm("org_northwind", domains.claim("org_northwind", "northwind.test", by=OPERATOR).id, by=OPERATOR)


CHANGES = [
    change_password, remove_password, disable, delete, another_primary, address_gone, address_left, managed_by_others
]  # fmt: skip


@pytest.mark.rule("RST-01")
@pytest.mark.parametrize("change", CHANGES)
def test_a_link_dies_when_what_it_rests_on_changes(
    browser: Browser, olivia: str, change: Callable[[str], None]
) -> None:
    link = mailed(browser)
    page = browser.get(link)
    assert page.status == 200
    with database.writing():
        change(olivia)
    before = passwords.which(olivia)
    assert is_void(browser.get(link))
    assert is_void(browser.send(page, "password", password=NEW))
    assert passwords.which(olivia) == before
    assert sessions_in(browser) == []


@pytest.mark.rule("RST-01")
def test_a_link_for_something_else_is_none(browser: Browser, olivia: str) -> None:
    mailed(browser)
    rests_on = database.session().scalar(select(MailedLink.rests_on)) or ""
    others: tuple[mailed_links.Purpose, ...] = ("verify", "undo", "sign_up", "enrol", "not_me")
    for purpose in others:
        with database.writing():
            token = mailed_links.make(purpose, olivia, MAILBOX, MAILBOX, lifetime=clock.DAY, rests_on=rests_on)
        assert is_void(browser.get(f"/recover/{token}")), purpose


def test_what_is_no_link_is_void(browser: Browser, olivia: str) -> None:
    for token in ("x", "clink_", "clink_%00", "%ff", "clink_" + "a" * 3_000, "clink_é", "a b", "%0a", "sent%2f"):
        assert browser.get(f"/recover/{token}").status in (400, 404, 410), token


@pytest.mark.rule("RST-01")
def test_only_a_digest_of_the_link_is_kept(browser: Browser, olivia: str) -> None:
    token = mailed(browser).removeprefix("/recover/")
    assert len(token.removeprefix("clink_")) >= 22
    row = database.session().scalars(select(MailedLink)).one()
    assert token not in repr(vars(row))
    assert all(token not in (one.after_json or "") for one in entries())


# Opening it (RST-04)


@pytest.mark.rule("RST-04")
def test_opening_a_link_changes_nothing_and_tells_nobody(browser: Browser, other: Browser, olivia: str) -> None:
    link = mailed(browser)
    other.get("/login")
    before = rows()
    for whose in (browser, other):
        for _ in range(3):
            page = whose.get(link)
            assert page.response.headers["Referrer-Policy"] == "no-referrer"
            assert page.response.headers["Cache-Control"] == "no-store"
            assert "https://" not in page.text.replace(settings().issuer, "")
            assert whose.client.head(link).status_code == 200
    assert rows() == before
    void = browser.get(link + "x")
    assert void.response.headers["Referrer-Policy"] == "no-referrer"
    assert recover(browser, link).path == "/me"


def rows() -> list[str]:
    """Every link, password, session and browser."""
    database.session().rollback()
    tables = (MailedLink, Password, BrowserRow, BrowserSession, Job)
    return [repr(row) for one in tables for row in database.session().execute(select(one.__table__))]


@pytest.mark.rule("RST-04", "SES-04")
@pytest.mark.parametrize("origin", ["https://evil.test", "null"])
def test_a_form_from_elsewhere_uses_no_link_up(browser: Browser, olivia: str, origin: str) -> None:
    link = mailed(browser)
    form = browser.get(link).form("password").fields | {"password": NEW}
    for site in ("", "cross-site", "same-site", "none"):
        said_of = {"Origin": origin} | ({"Sec-Fetch-Site": site} if site else {})
        assert browser.client.post(link, data=form, headers=said_of).status_code == 403, site
    assert browser.client.post(link, data=form | {"csrf_token": "x"}).status_code == 403
    ours = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert browser.client.post(link, data=form, headers=ours).status_code == 303


# Whom a letter goes to (RST-02, RST-03)


RESEMBLING = [
    "olivia@northwind.test,mallory@evil.test",
    "olivia@northwind.test mallory@evil.test",
    "olivia@northwind.test;mallory@evil.test",
    "olivia@northwind.test\r\nBcc: mallory@evil.test",
    "olivia@northwind.test\nmallory@evil.test",
    "<olivia@northwind.test>",
    '"olivia@northwind.test" <mallory@evil.test>',
    '["olivia@northwind.test", "mallory@evil.test"]',
    "оlivia@northwind.test",  # noqa: RUF001 Cyrillic
    "olivia@nоrthwind.test",  # noqa: RUF001 Cyrillic
    "ol\u0131via@northwind.test",
    "olivia\u200b@northwind.test",
    "olivia+x@northwind.test",
    "o.livia@northwind.test",
    "olivia@northwind.test.evil.test",
    "olivia@northwind.test%00",
    "olivia%40northwind.test",
]


@pytest.mark.rule("RST-02")
def test_a_letter_goes_to_the_address_as_it_is_stored_and_to_no_other(browser: Browser, olivia: str) -> None:
    for typed in RESEMBLING:
        ask(browser, typed)
    assert asking.answer() == len(RESEMBLING)
    assert mailboxes.letters() == []
    for typed in ("OLIVIA@NORTHWIND.TEST", "\uff4flivia@northwind.test", "olivia@NORTHWIND.test"):
        ask(browser, typed)
    asking.answer()
    assert [letter.to for letter in mailboxes.letters()] == [MAILBOX] * 3


@pytest.mark.rule("RST-02")
def test_an_address_that_is_sent_twice_or_as_something_else_is_nobodys(browser: Browser, olivia: str) -> None:
    page = browser.get("/recover")
    token = page.form("username").fields["csrf_token"]
    for sent in (
        {"username": [MAILBOX, "mallory@evil.test"]},
        {"username": [MAILBOX, MAILBOX]},
        {"username[]": MAILBOX, "username": "x"},
        {"username[0]": MAILBOX, "username": "x"},
    ):
        assert browser.client.post("/recover", data={"csrf_token": token, **sent}).status_code == 303, sent
    assert browser.client.post("/recover", json={"csrf_token": token, "username": MAILBOX}).status_code in (400, 403)
    asking.answer()
    assert mailboxes.letters() == []


@pytest.mark.rule("RST-03")
def test_a_link_leads_to_the_issuer_whatever_host_was_asked(browser: Browser, olivia: str) -> None:
    page = browser.get("/recover")
    form = page.form("username").fields | {"username": MAILBOX}
    for headers in (
        {"X-Forwarded-Host": "evil.test"},
        {"Forwarded": "host=evil.test;proto=http"},
        {"X-Forwarded-Proto": "http"},
        {"X-Original-Url": "https://evil.test/recover"},
    ):
        assert browser.client.post("/recover", data=form, headers=headers).status_code == 303
    assert browser.client.post("/recover", data=form, headers={"Host": "evil.test"}).status_code in (400, 421)
    asking.answer()
    letters = mailboxes.letters(MAILBOX)
    assert letters
    for letter in letters:
        assert letter.path.startswith("/recover/clink_")
        said = rendering.message_of(letter, id="x", posted_at=clock.now(), settings=settings()).as_string()
        assert "evil" not in said
        assert f"{settings().issuer}/recover/" in said.replace("=\n", "")


# What strangers learn (LOG-03)

NAMES = [
    MAILBOX, "olivia", "disabled@northwind.test", "disabled", "unverified@northwind.test", "unverified",
    "gone@northwind.test", "young@lund.test", "ex@managed.test", "ex", "nobody@northwind.test", "nobody",
    "a@" + "b" * 60 + ".test", "x" * 400, "@", "a,b@c", "usr_01m82c5qtxt0kmh68ggg0zp8pf", "<b>",
    "olivia@northwind.test\r\nTo: x",
]  # fmt: skip


@pytest.fixture
def house(app: Flask, olivia: str) -> Flask:
    """A provider that knows people of every kind."""
    for name in ("disabled", "unverified", "gone", "young"):
        made(name, email=f"{name}@northwind.test")
    made("ex", email="ex@managed.test")
    with database.writing():
        lifecycle.disable(users.named("disabled"), by=OPERATOR)
        young = users.named("young")
        added = addresses.add(young, "young@lund.test", verified=True, by=OPERATOR)
        added.recovers_from = clock.now() + clock.DAY
        for name, values in (("unverified", {"verified_at": None}), ("gone", {"leaves_at": clock.now()})):
            mine = update(Address).where(Address.user_id == users.named(name).id)
            database.session().execute(mine.values(values))
        otto = users.create(users.UserSettings("otto"), by=OPERATOR)
        organizations.found(OrganizationSettings("managed", "Managed"), otto.id, id="org_managed", by=OPERATOR)
        domains.confirm("org_managed", domains.claim("org_managed", "managed.test", by=OPERATOR).id, by=OPERATOR)
    return app


@pytest.mark.rule("LOG-03", "RST-02")
def test_whoever_is_named_the_answers_and_the_work_are_the_same(house: Flask) -> None:
    warm = journey(house, 1, "nobody")
    answers = {name: journey(house, number, name) for number, name in enumerate(NAMES, 2)}
    for name, (seen, statements) in answers.items():
        assert seen == warm[0], name
        assert statements == warm[1], name
    assert sum("jobs" in statement for statement in warm[1]) == 1
    assert asking.answer() == len(NAMES) + 1
    assert [letter.to for letter in mailboxes.letters()] == [MAILBOX, MAILBOX]


def journey(app: Flask, number: int, name: str) -> tuple[list[object], list[str]]:
    """Everything that is answered to somebody who types the name, and what the database is asked for it."""
    browser, asked = Browser(app, f"10.0.0.{number}"), []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    page = browser.get("/recover")
    event.listen(database.db.engine, "before_cursor_execute", listen)
    posted = browser.post(page, "username", username=name)
    event.remove(database.db.engine, "before_cursor_execute", listen)
    return [said(posted), said(browser.client.get(posted.location))], asked


@pytest.mark.rule("LOG-03", "LOG-07")
def test_a_person_gets_three_letters_at_once_and_nobody_is_told(browser: Browser, other: Browser, olivia: str) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as time:
        for name in (MAILBOX, "olivia", MAILBOX, "olivia", MAILBOX):
            ask(other if name == "olivia" else browser, name)
        asking.answer()
        assert len(mailboxes.letters(MAILBOX)) == 3
        time.shift(1_801)
        ask(browser)
        asking.answer()
        assert len(mailboxes.letters(MAILBOX)) == 4


@pytest.mark.rule("LOG-05")
def test_whoever_names_another_address_keeps_nobody_without_a_letter(app: Flask, browser: Browser, olivia: str) -> None:
    with database.writing():
        addresses.add(users.find(olivia), "old@elsewhere.test", verified=True, by=OPERATOR)
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as time:
        for number in range(4):
            for again in range(3):
                ask(Browser(app, f"10.{again}.0.{number}"), "old@elsewhere.test")
            assert browser.get(mailed(browser)).status == 200
            time.shift(1_801)


@pytest.mark.rule("RST-03")
def test_a_letter_is_in_the_language_that_its_reader_chose_or_else_was_asked_for_in(app: Flask, olivia: str) -> None:
    made("bob", email="bob@northwind.test")
    german = Browser(app)
    german.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "de"
    with database.writing():
        person = users.find(olivia)
        users.reconfigure(person, replace(users.settings_of(person), claims={"locale": "fr"}), by=OPERATOR)
    for name in ("olivia", "bob"):
        german.post(german.get("/recover"), "username", username=name)
    asking.answer()
    assert {one.to: one.language for one in mailboxes.letters()} == {MAILBOX: "fr", "bob@northwind.test": "de"}


@pytest.mark.rule("LOG-05")
def test_whoever_asks_all_day_keeps_nobody_without_a_link_that_works(app: Flask, browser: Browser, olivia: str) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as time:
        for number in range(9):
            ask(Browser(app, f"10.1.0.{number}"))
            ask(browser)
            assert browser.get(asking.link(MAILBOX)).status == 200
            time.shift(600)


@pytest.mark.rule("LOG-03", "LOG-07")
def test_a_name_is_asked_about_only_so_often_and_nobody_is_told(app: Flask) -> None:
    for number in range(15):
        apart = Browser(app, f"10.1.0.{number}")
        assert apart.post(apart.get("/recover"), "username", username="victim@a.test").location == "/recover/sent"
    assert open_jobs() == 10


@pytest.mark.rule("LOG-03", "LOG-07")
def test_a_network_asks_only_so_often_and_is_told_whomever_it_names(
    app: Flask, browser: Browser, other: Browser, olivia: str
) -> None:
    page = browser.get("/recover")
    for number in range(30):
        assert browser.post(page, "username", username=f"nobody{number}@a.test").location == "/recover/sent"
    for name in (MAILBOX, "nobody@a.test", "nobody1@a.test"):
        refused = browser.send(page, "username", username=name)
        assert (refused.status, refused.response.headers["Retry-After"]) == (429, "360")
        assert "Too many letters were asked for" in refused.text
    assert open_jobs() == 30
    assert other.post(other.get("/recover"), "username", username=MAILBOX).location == "/recover/sent"


@pytest.mark.rule("RST-04")
def test_also_a_form_that_is_refused_names_its_address_to_nobody(app: Flask, browser: Browser, olivia: str) -> None:
    refused = app.test_client().post(mailed(browser), data={"password": NEW})
    assert (refused.status_code, refused.headers["Referrer-Policy"]) == (403, "no-referrer")


def test_nothing_that_was_mailed_is_kept_of_a_deleted_person(browser: Browser, olivia: str) -> None:
    link = mailed(browser)
    with database.writing():
        lifecycle.delete(users.find(olivia), by=OPERATOR)
    assert browser.get(link).status == 410
    assert list(database.session().scalars(select(MailedLink))) == []


def open_jobs() -> int:
    database.session().rollback()
    return len([one for one in jobs.undone() if one.kind == recovering.KIND])


def test_what_was_asked_for_long_ago_is_not_written_any_more(browser: Browser, olivia: str) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as time:
        ask(browser)
        time.shift(31 * 60)
        assert asking.answer() == 1
        assert mailboxes.letters() == []


@pytest.mark.rule("AUD-01")
def test_the_trail_says_from_where_a_letter_was_asked_for(other: Browser, olivia: str) -> None:
    mailed(other)
    (entry,) = [one for one in entries(olivia) if one.event == "user.recovery.mailed"]
    detail = database.session().scalars(select(EntryDetail).where(EntryDetail.entry_id == entry.id)).one()
    assert other.address in repr(vars(detail))


@pytest.mark.rule("TOT-06")
def test_the_sign_in_itself_knows_nothing_of_a_link_that_was_not_used(browser: Browser, olivia: str) -> None:
    address = asked_for(browser, Demand())
    link = mailed(browser, path=address.replace("/login", "/recover"))
    browser.get(link)
    known = browsers.recognise(browser.cookie())
    database.session().rollback()
    assert transactions.find(known, transaction_in(browser.get(address))).proofs == ()
    assert browser.get(address.replace("/login", "/login/verify")).name == "login"


@pytest.mark.rule("RST-01", "REF-09")
@pytest.mark.parametrize("by", ["a new password", "saying that it was somebody else"])
def test_applications_that_stay_connected_end_too(app: Flask, browser: Browser, olivia: str, by: str) -> None:
    shop = relying_party(app, "shop", first_party=True, id_token_signed_response_alg="ES256")
    minting.make_keys()
    elsewhere = Visitor(app, "203.0.113.7")
    elsewhere.sign_in("olivia")
    tokens = shop.redeem(elsewhere.get(shop.authorize_url(scope="openid offline_access")))
    if by == "a new password":
        recover(browser, mailed(browser))
    else:
        with database.writing():
            path = not_me.path(olivia, MAILBOX, MAILBOX)
        browser.send(browser.get(path), "not-me-submit")
    assert shop.token(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).status_code == 400
