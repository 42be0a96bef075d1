"""`/signup`: people who make themselves an account, and those who would like it to be somebody else's."""

import threading
from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask
from sqlalchemy import event, func, select

from idp.app import create_app
from idp.credentials import passwords
from idp.credentials.models import MailedLink
from idp.login import recovering, signing_up
from idp.login.demands import Demand
from idp.organizations import domains, memberships, organizations
from idp.organizations.memberships import NewMember
from idp.organizations.organizations import OrganizationSettings
from idp.platform import clock, database
from idp.users import addresses, claims, lifecycle, users
from idp.users.models import Address, User
from idp.users.users import UserSettings
from tests import asking, databases, mailboxes, once
from tests.actors import GOOD, Browser, Page
from tests.flows.test_sameness import said
from tests.login.conftest import made
from tests.login.test_sign_in import asked_for, sessions_in
from tests.notices.test_notices import told
from tests.traces import OPERATOR, events

ADA = "ada@lovelace.test"
NEW = {"name": "Ada Lovelace", "password": GOOD}


@pytest.fixture
def app(database_url: str) -> Iterator[Flask]:
    """A provider in which people may sign up."""
    app = create_app(databases.settings_for(database_url).model_copy(update={"signup": "on"}))
    app.testing = True
    with app.app_context():
        yield app
        databases.dispose()


def ask(browser: Browser, address: str = ADA, path: str = "/signup") -> Page:
    """The page that says that a letter is on its way."""
    page = browser.send(browser.get(path), "email", email=address)
    assert (page.status, page.name, page.heading) == (200, "signup", "Check your mail")
    return page


def mailed(browser: Browser, address: str = ADA, path: str = "/signup") -> str:
    """The path that was mailed to the address."""
    ask(browser, address, path)
    return asking.link(address, signing_up.KIND)


def sign_up(browser: Browser, path: str, **said: str) -> Page:
    """Open the link, and fill the page in."""
    page = browser.get(path)
    assert (page.status, page.name, page.heading) == (200, "signup", "Create your account"), page.text
    return browser.send(page, "password", **NEW | said)


def is_void(page: Page) -> bool:
    """Whether the page says that the link cannot be used, and leads on."""
    told = (page.status, page.name, page.body.get("data-error"))
    return told == (410, "error", "link_void") and "/signup" in [link["href"] for link in page.links]


def people() -> int:
    database.session().rollback()
    return database.session().scalar(select(func.count(User.id))) or 0


def letters() -> list[tuple[str, str]]:
    """Template and address of everything that is to be mailed."""
    asking.answer()
    return [(letter.template, letter.to) for letter in mailboxes.letters()]


def northwind() -> None:
    """An organization that has proven a domain."""
    with database.writing():
        otto = users.create(UserSettings("otto"), by=OPERATOR)
        organizations.found(OrganizationSettings("northwind", "Northwind"), otto.id, id="org_northwind", by=OPERATOR)
        domains.confirm("org_northwind", domains.claim("org_northwind", "northwind.test", by=OPERATOR).id, by=OPERATOR)


# The story


def test_somebody_makes_themselves_an_account(browser: Browser) -> None:
    address = asked_for(browser, Demand(), return_to="/me?from=ledger")
    (link,) = [one["href"] for one in browser.get(address).links if one.get("id") == "signup"]
    page = browser.get(link)
    assert (page.name, page.heading, page.title) == (
        "signup",
        "Create an account",
        "Create an account - Ledger - Canopy",
    )
    page = sign_up(browser, mailed(browser, path=link))
    assert (page.address, page.heading) == ("/me?from=ledger", "Ada Lovelace")
    (session,) = sessions_in(browser)
    ada = users.named(ADA)
    assert (session.user_id, [proof.method for proof in session.proofs]) == (ada.id, ["password"])
    assert (ada.username, claims.load(ada.claims)["name"]) == (ADA, "Ada Lovelace")
    assert [(one.address, one.verified_at is not None, one.is_primary) for one in addresses.of(ada.id)] == [
        (ADA, True, 1)
    ]
    assert {"user.created", "user.address.added", "user.password.set"} <= set(events(ada.id))
    browser.send(browser.get("/logout"), "logout-confirm")
    assert browser.sign_in(ADA).name == "me"
    assert recovering_works(browser)


def recovering_works(browser: Browser) -> bool:
    """Whether the new person may recover their password by the address that they proved."""
    browser.send(browser.get("/recover"), "username", username=ADA)
    return asking.link(ADA, recovering.KIND).startswith("/recover/")


def test_where_people_may_not_sign_up_there_is_no_such_page_and_no_way_to_it(database_url: str) -> None:
    app = databases.app_on(database_url)
    with app.app_context():
        browser = Browser(app)
        for path in ("/signup", "/signup/sent", "/signup/clink_x"):
            assert browser.get(path).status == 404
            assert browser.client.post(path).status_code == 404
        page = browser.get("/login")
        for shown in (page, browser.send(page, "username", username="ada"), browser.get("/recover")):
            assert "signup" not in shown.text
        databases.dispose()


# What is mistaken


def test_nothing_entered_is_told(browser: Browser) -> None:
    page = browser.send(browser.get("/signup"), "email", email="")
    assert (page.status, page.alerts, page.title) == (422, 1, "Error: Create an account - Canopy")
    assert asking.answer() == 0


def test_what_will_not_do_is_asked_for_again_and_the_link_stays_good(browser: Browser) -> None:
    link = mailed(browser)
    for wrong in (
        {"name": " "}, {"name": "x" * 201}, {"name": "a\x07b"}, {"name": "a\nb"}, {"password": ""},
        {"password": "short"}, {"password": "ada lovelace ada"}, {"password": ADA}, {"name": ["a", "b"]},
    ):  # fmt: skip
        page = sign_up(browser, link, **wrong)  # type: ignore[arg-type]
        (field,) = wrong
        assert (page.status, page.alerts) == (422, 1), wrong
        assert f'id="{field}-err"' in page.text, wrong
    assert people() == 0
    assert browser.send(page, "password", **NEW).path == "/me"


def test_in_another_browser_where_somebody_is_signed_in_it_works_and_says_so(browser: Browser, other: Browser) -> None:
    bob = made("bob")
    other.sign_in("bob")
    page = other.get(mailed(browser))
    assert 'id="elsewhere"' in page.text
    assert "<bdi>bob</bdi> is signed in in this browser" in page.text
    assert other.send(page, "password", **NEW).heading == "Ada Lovelace"
    assert [one.user_id for one in sessions_in(other)] == [users.named(ADA).id, bob]


def test_a_link_works_once_for_a_day_and_ends_the_others(browser: Browser, other: Browser) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as time:
        late, first, second = (mailed(browser, address) for address in ("late@lovelace.test", ADA, ADA))
        opened = other.get(second)
        time.shift(86_400 - 1)
        assert sign_up(browser, first).path == "/me"
        for path in (first, second):
            assert is_void(other.get(path)), path
        assert is_void(other.send(opened, "password", **NEW))
        time.shift(1)
        assert is_void(other.get(late))
        assert people() == 1


@pytest.mark.rule("RST-04")
def test_opening_the_link_changes_nothing(browser: Browser) -> None:
    link = mailed(browser)
    for _ in range(3):
        page = browser.get(link)
        assert page.response.headers["Referrer-Policy"] == "no-referrer"
        assert browser.client.head(link).status_code == 200
    assert people() == 0
    assert sign_up(browser, link).path == "/me"


# Nothing is kept of anybody before (LNK-04)


@pytest.mark.rule("LNK-04")
def test_who_signs_up_with_somebody_elses_address_leaves_nothing_behind(browser: Browser, other: Browser) -> None:
    """`other` is Mallory's, who never sees the letter."""
    ask(other)
    asking.answer()
    assert (people(), database.session().scalar(select(func.count(Address.id)))) == (0, 0)
    assert database.session().scalars(select(MailedLink)).one().user_id is None
    assert other.sign_in(ADA).alerts == 1
    page = sign_up(browser, mailed(browser))
    assert (page.path, people()) == ("/me", 1)


@pytest.mark.rule("LNK-04")
def test_who_proves_an_address_gets_it_from_who_did_not_and_nothing_else_of_theirs(
    browser: Browser, other: Browser
) -> None:
    northwind()
    with database.writing():
        mallory = users.create(UserSettings(ADA, {"name": "Mallory"}), email=ADA, by=OPERATOR).id
        passwords.store(mallory, once.hashed(GOOD), by=OPERATOR)
        memberships.add("org_northwind", NewMember(mallory), by=OPERATOR)
    assert letters() == []
    page = sign_up(browser, mailed(browser), password="an entirely other password")
    assert (page.path, page.heading) == ("/me", "Ada Lovelace")
    (session,) = sessions_in(browser)
    ada = users.named(ADA).id
    assert session.user_id == ada != mallory
    assert passwords.stored(ada) != passwords.stored(mallory)
    assert "Northwind" not in page.text
    assert addresses.of(mallory) == []
    assert users.find(mallory).username == mallory
    assert other.sign_in(ADA, GOOD).alerts == 1
    assert "user.address.removed" in events(mallory)


@pytest.mark.rule("LNK-04")
def test_two_who_sign_up_with_one_address_at_once_are_one_person(app: Flask, browser: Browser, other: Browser) -> None:
    pages = [(one, one.get(mailed(one))) for one in (browser, other)]
    start, statuses = threading.Barrier(2), []

    def send(whose: Browser, page: Page) -> None:
        with app.app_context():
            start.wait()
            statuses.append(whose.post(page, "password", **NEW).status_code)
            database.session().rollback()

    threads = [threading.Thread(target=send, args=one) for one in pages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303, 410]
    assert people() == 1


@pytest.mark.rule("LNK-04")
def test_an_address_that_somebody_has_proven_meanwhile_stays_theirs(browser: Browser) -> None:
    link = mailed(browser)
    page = browser.get(link)
    made("bob", email=ADA)
    assert is_void(browser.get(link))
    assert is_void(browser.send(page, "password", **NEW))
    assert people() == 1


# Who is written to, and what


def known() -> None:
    made("ada", email=ADA)


def disabled() -> None:
    made("ada", email=ADA)
    with database.writing():
        lifecycle.disable(users.named("ada"), by=OPERATOR)


def unverified() -> None:
    with database.writing():
        users.create(UserSettings("ada"), email=ADA, by=OPERATOR)


def nobody() -> None:
    pass


@pytest.mark.parametrize(
    ("before", "typed", "expected"),
    [
        (nobody, ADA, [("sign_up", ADA)]),
        (nobody, " ADA@Lovelace.test ", [("sign_up", "ADA@lovelace.test")]),
        (known, "ADA@LOVELACE.TEST", [("sign_up_known", ADA)]),
        (disabled, ADA, [("sign_up_known", ADA)]),
        (unverified, ADA, [("sign_up", ADA)]),
        (northwind, "new@northwind.test", [("sign_up_managed", "new@northwind.test")]),
    ],
)
def test_the_difference_is_told_by_mail_alone(
    browser: Browser, before: Callable[[], None], typed: str, expected: list[tuple[str, str]]
) -> None:
    before()
    ask(browser, typed)
    assert letters() == expected


@pytest.mark.rule("RST-02")
def test_what_is_no_address_or_several_gets_no_letter(browser: Browser) -> None:
    for typed in (
        f"{ADA},eve@evil.test", f"{ADA}\r\nBcc: eve@evil.test", f'"{ADA}" <eve@evil.test>', "ada", "@", "a@b",
        "x" * 400, "оlivia@northwind.test",  # noqa: RUF001 Cyrillic
    ):  # fmt: skip
        ask(browser, typed)
    token = browser.get("/signup").form("email").fields["csrf_token"]
    sent = {"csrf_token": token, "email": [ADA, "eve@evil.test"]}
    assert browser.client.post("/signup", data=sent).status_code == 303
    assert letters() == []


@pytest.mark.rule("RST-02")
def test_a_look_alike_of_an_address_does_not_get_its_letter(browser: Browser) -> None:
    """What is proven is the normal form: a mailbox beside it may be somebody else's."""
    for typed in ("stra\u00dfe@lovelace.test", "\ufb01ona@lovelace.test", "Ada@lovelace.test"):
        ask(browser, typed)
    assert letters() == [
        ("sign_up", "strasse@lovelace.test"),
        ("sign_up", "fiona@lovelace.test"),
        ("sign_up", "Ada@lovelace.test"),
    ]


@pytest.mark.rule("LNK-04")
def test_a_domain_that_is_proven_meanwhile_lets_nobody_in_who_is_not_invited(browser: Browser) -> None:
    link = mailed(browser, "new@northwind.test")
    page = browser.get(link)
    northwind()
    assert is_void(browser.send(page, "password", **NEW))
    assert users.by_address("new@northwind.test") is None


@pytest.mark.rule("LOG-03")
def test_whosever_the_address_is_the_answers_and_the_work_are_the_same(app: Flask) -> None:
    known()
    northwind()
    typed = ("nobody@a.test", ADA, "x@northwind.test", "ada", "a,b@c", "@")
    first, *rest = [journey(app, number, name) for number, name in enumerate(("warm@a.test", *typed), 1)]
    for name, seen in zip(typed, rest, strict=True):
        assert seen == first, name


def journey(app: Flask, number: int, name: str) -> tuple[list[object], list[str]]:
    """Everything that is answered to somebody who types the address, and what the database is asked for it."""
    browser, asked = Browser(app, f"10.0.0.{number}"), []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    page = browser.get("/signup")
    event.listen(database.db.engine, "before_cursor_execute", listen)
    posted = browser.post(page, "email", email=name)
    event.remove(database.db.engine, "before_cursor_execute", listen)
    return [said(posted), said(browser.client.get(posted.location))], asked


@pytest.mark.rule("LOG-03", "LOG-07")
def test_a_mailbox_gets_three_letters_at_once_and_nobody_is_told(app: Flask) -> None:
    known()
    for number in range(5):
        ask(Browser(app, f"10.0.1.{number}"), ADA)
        ask(Browser(app, f"10.0.2.{number}"), "nobody@a.test")
    assert sorted(letters()) == sorted([("sign_up_known", ADA)] * 3 + [("sign_up", "nobody@a.test")] * 3)


@pytest.mark.rule("TOT-06")
def test_a_new_person_meets_what_the_sign_in_demands(browser: Browser) -> None:
    address = asked_for(browser, Demand(least="aal2"))
    page = sign_up(browser, mailed(browser, path=address.replace("/login", "/signup")))
    assert (page.name, sessions_in(browser)) == ("enrol", [])


def test_a_new_person_is_not_told_that_they_changed_their_password(browser: Browser) -> None:
    sign_up(browser, mailed(browser))
    assert [letter.template for letter in told() if letter.template != "sign_up"] == []
