"""Links by which somebody sets up a passkey: mailed by who may, good once, and no way around what somebody has."""

from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask
from time_machine import Traveller

from idp.audit.trail import Actor
from idp.credentials import factors, held, mailed_links, passwords
from idp.credentials.mailed_links import LinkVoid
from idp.login import enrol_links
from idp.login.enrol_links import Made, NowhereToMail, OperatorShows
from idp.login.helping import BelongsElsewhere, NotOneself
from idp.organizations.authority import MayNotGrant
from idp.platform import database
from idp.platform.errors import Conflict, NotFound
from idp.platform.settings import settings
from idp.sessions import levels
from idp.users import addresses, lifecycle, users
from tests import once, phones
from tests.actors import GOOD, Browser, Page
from tests.authenticators import Authenticator
from tests.login.test_passkey import equipped, options, used
from tests.login.test_sign_in import sessions_in
from tests.mailboxes import only
from tests.organizations.actors import ADAM, DAN, IRIS, NICK, OLIVIA, SAM, VERA, ZOE, act, overlapping, refused
from tests.organizations.conftest import acme, settled  # noqa: F401 fixtures
from tests.traces import OPERATOR, events

BOX = "nick@example.com"


@pytest.fixture(autouse=True)
def app(acme: Flask) -> Flask:  # noqa: F811
    return acme


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def other(app: Flask) -> Browser:
    return Browser(app, "198.51.100.9")


@pytest.fixture
def device(app: Flask) -> Authenticator:
    return Authenticator(settings().issuer)


@pytest.fixture
def clockwork() -> Iterator[Traveller]:
    with time_machine.travel(1_900_000_000, tick=False) as clockwork:
        yield clockwork  # type: ignore[misc]


def made(who: Actor = NICK, *, by: Actor = OPERATOR, is_mailed: bool = True) -> Made:
    with database.writing():
        return enrol_links.make(who.id, by=by, is_mailed=is_mailed)


def methods(who: Actor = NICK) -> set[str]:
    database.session().rollback()
    return set(held.methods(who.id))


def followed(browser: Browser, link: Made) -> Page:
    """The page that comes of pressing the button behind the link."""
    page = browser.get(link.path)
    assert (page.status, page.heading) == (200, "Set up a passkey"), page.text
    return browser.send(page, "enrol-submit")


def set_up(browser: Browser, page: Page, device: Authenticator) -> Page:
    """Set a passkey up on the page, as its script would; the page that comes of it."""
    asked = options(browser, page, "/login/enrol/passkey")
    return browser.send(page, "credential", credential=device.create(asked))


# The story


@pytest.mark.rule("WAN-08")
def test_whoever_has_nothing_sets_up_their_first_passkey_by_it(browser: Browser, device: Authenticator) -> None:
    link = made()
    letter = only(BOX, "enrol")
    assert (letter.path, letter.expires_at, link.address) == (link.path, link.expires_at, BOX)
    page = followed(browser, link)
    assert (page.name, page.heading) == ("enrol", "Set up a passkey")
    assert (sessions_in(browser), methods()) == ([], set())
    page = set_up(browser, page, device)
    assert page.heading == "Keep your recovery codes"
    assert methods() == {"passkey", "recovery_code"}
    (session,) = sessions_in(browser)
    assert [proof.method for proof in session.proofs] == ["passkey"]
    assert levels.of(session.proofs).acr == "phr"
    assert browser.send(page, "codes-submit", saved="yes").name == "me"
    assert {"user.enrol.link.made", "user.enrol.link.used", "user.factor.added"} <= {*events(NICK.id)}


@pytest.mark.rule("WAN-08", "RST-04")
def test_opening_it_changes_nothing_and_keeps_its_address_to_itself(browser: Browser) -> None:
    link = made()
    for method in ("GET", "HEAD"):
        answer = browser.client.open(link.path, method=method)
        assert (answer.status_code, answer.headers["Referrer-Policy"]) == (200, "no-referrer")
    enrol_links.find(link.path.rpartition("/")[2])
    assert browser.client.post(link.path).status_code == 403


# Once, in time, and nobody else's


@pytest.mark.rule("WAN-08")
def test_it_is_good_for_one_passkey(browser: Browser, other: Browser, device: Authenticator) -> None:
    link = made()
    first, second = followed(browser, link), followed(other, link)  # nothing was set up yet: it may be opened again
    assert set_up(browser, first, device).heading == "Keep your recovery codes"
    late = other.get(second.address)
    assert late.name == "password"
    assert other.get(link.path).status == 410
    form = {"csrf_token": second.form("credential").fields["csrf_token"]}
    assert (
        other.client.post(f"/login/enrol/passkey/options?{second.address.partition('?')[2]}", data=form).status_code
        == 409
    )
    assert len(factors.of(NICK.id)) == 1
    assert sessions_in(other) == []


@pytest.mark.rule("WAN-08")
def test_of_two_who_use_it_up_at_once_one_does(app: Flask, browser: Browser, other: Browser) -> None:
    link = made()
    token = link.path.rpartition("/")[2]
    done = overlapping(
        app,
        lambda: mailed_links.spend_by_id(mailed_links.id_of(token), "enrol"),
        lambda: mailed_links.spend_by_id(mailed_links.id_of(token), "enrol"),
    )
    assert isinstance(done[1], LinkVoid)


@pytest.mark.rule("WAN-08")
@pytest.mark.parametrize("when", ["before it is opened", "before the passkey"])
@pytest.mark.parametrize("change", ["too late", "a newer one", "disabled", "a password"])
def test_a_link_that_is_over_sets_nothing_up(
    browser: Browser, device: Authenticator, clockwork: Traveller, when: str, change: str
) -> None:
    link, page, asked = made(), None, None
    if when == "before the passkey":
        clockwork.shift(24 * 3600 - 120)
        page = followed(browser, link)
        asked = options(browser, page, "/login/enrol/passkey")
    if change == "too late":
        clockwork.shift(24 * 3600 if page is None else 121)
    if change == "a newer one":
        made()
    if change == "disabled":
        act(lifecycle.disable, users.find(NICK.id))
    if change == "a password":
        act(passwords.store, NICK.id, once.hashed(GOOD))
    if page is not None and asked is not None:
        browser.send(page, "credential", credential=device.create(asked))
    elif change == "a password":
        assert followed(browser, link).name == "password"
    else:
        assert browser.get(link.path).status == 410
    assert factors.of(NICK.id) == []
    assert sessions_in(browser) == []


@pytest.mark.rule("WAN-08")
@pytest.mark.parametrize("how", ["given to another", "removed", "no longer proven"])
def test_a_link_in_a_mailbox_that_is_no_longer_its_persons_sets_nothing_up(browser: Browser, how: str) -> None:
    link = made()
    page = browser.get(link.path)
    with database.writing():
        nick, (mine,) = users.find(NICK.id), addresses.of(NICK.id)
        if how == "given to another":
            addresses.give(BOX, users.find(ZOE.id), released=lambda _: True, by=OPERATOR)
        elif how == "removed":
            addresses.end(nick, mine, by=OPERATOR)
        else:
            mine.verified_at = None
    assert browser.get(link.path).status == 410
    assert browser.send(page, "enrol-submit").status == 410


@pytest.mark.rule("WAN-08")
def test_a_link_that_was_one_of_several_ways_does_not_become_the_only_one(browser: Browser) -> None:
    act(passwords.store, NICK.id, once.hashed(GOOD))
    link = made()
    act(passwords.remove, NICK.id)
    page = browser.get(link.path)
    assert browser.send(page, "enrol-submit").status == 410


@pytest.mark.rule("WAN-08")
def test_a_link_for_something_else_sets_nothing_up(browser: Browser) -> None:
    with database.writing():
        token = mailed_links.make("verify", NICK.id, BOX, BOX, lifetime=10**12)
    for one in (token, "clink_x", "x" * 5000):
        assert browser.get(f"{enrol_links.PATH}/{one}").status == 410


# What somebody has is asked for


@pytest.mark.rule("WAN-08", "TOT-05")
def test_whoever_has_a_password_and_an_app_gives_both_first(browser: Browser, device: Authenticator) -> None:
    act(passwords.store, NICK.id, once.hashed(GOOD))
    phone = phones.given_to(NICK.id)
    page = followed(browser, made())
    assert page.name == "password"
    page = browser.send(page, "password", password=GOOD)
    assert page.name == "otp"
    page = browser.send(page, "otp", otp=phone.code())
    assert page.name == "enrol"
    assert sessions_in(browser) == []
    set_up(browser, page, device)
    assert {"password", "totp", "passkey"} <= methods()


@pytest.mark.rule("WAN-08")
def test_with_a_way_in_it_is_used_up_when_it_is_followed_and_proves_nothing(browser: Browser, other: Browser) -> None:
    act(passwords.store, NICK.id, once.hashed(GOOD))
    link = made()
    page = followed(browser, link)
    assert other.get(link.path).status == 410
    assert browser.send(page, "password", password="wrong").alerts == 1
    assert (sessions_in(browser), factors.of(NICK.id)) == ([], [])


@pytest.mark.rule("WAN-08")
def test_whoever_has_a_passkey_proves_it_and_adds_another(browser: Browser, device: Authenticator) -> None:
    equipped(NICK.id, device)
    page = followed(browser, made())
    assert page.name == "password"
    page = used(browser, page, device)
    assert page.address.startswith("/me/security/passkeys")


@pytest.mark.rule("WAN-08")
def test_somebody_else_who_is_signed_in_here_gets_no_passkey(browser: Browser, device: Authenticator) -> None:
    act(passwords.store, ZOE.id, once.hashed(GOOD))
    browser.sign_in("zoe")
    page = browser.get(made().path)
    assert "zoe" in page.text
    page = set_up(browser, browser.send(page, "enrol-submit"), device)
    assert factors.of(ZOE.id) == []
    assert len(factors.of(NICK.id)) == 1


# Who makes it


@pytest.mark.rule("WAN-08")
@pytest.mark.parametrize(
    ("by", "whom", "refusal"),
    [(DAN, NICK, NotFound), (ZOE, NICK, NotFound), (NICK, NICK, NotOneself), (IRIS, SAM, MayNotGrant),
     (ADAM, OLIVIA, MayNotGrant), (ADAM, VERA, BelongsElsewhere)],
    ids=["a developer", "a stranger", "oneself", "a super admin's", "the owner's", "of two organizations"],
)  # fmt: skip
def test_nobody_makes_one_for_whom_they_may_not_help(by: Actor, whom: Actor, refusal: type[Exception]) -> None:
    with refused(refusal):
        enrol_links.make(whom.id, by=by)


@pytest.mark.rule("WAN-08")
def test_an_administrator_has_it_mailed_and_does_not_see_it() -> None:
    with refused(OperatorShows):
        enrol_links.make(NICK.id, by=ADAM, is_mailed=False)
    assert made(by=ADAM).address == BOX
    assert made(is_mailed=False).address == ""


@pytest.mark.rule("WAN-08")
def test_it_is_mailed_to_a_confirmed_address_alone() -> None:
    with database.writing():
        addresses.of(NICK.id)[0].verified_at = None
    with refused(NowhereToMail):
        enrol_links.make(NICK.id, by=OPERATOR)


def test_a_disabled_person_gets_none() -> None:
    act(lifecycle.disable, users.find(NICK.id))
    with refused(Conflict):
        enrol_links.make(NICK.id, by=OPERATOR)
