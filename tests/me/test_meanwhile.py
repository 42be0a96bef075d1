"""What is changed at the very moment at which somebody is signed out: nothing, and nobody gets in again by it."""

import pytest

from idp.credentials import factors, passwords, recovery_codes
from idp.login import changing_factors, stepping_up
from idp.platform import database
from idp.sessions import people, trusted_devices
from idp.sessions.people import LiveSession
from tests.actors import GOOD, Browser
from tests.me.test_security import setting_up
from tests.phones import Phone, codes_of, given_to
from tests.proving import set_up, step_up, trust
from tests.traces import OPERATOR

ANOTHER = "another horse battery staple"


def signed_out_after(monkeypatch: pytest.MonkeyPatch, calls: int = 1) -> None:
    """Let everybody be signed out by another request, once the one that comes next was found to be recent enough."""
    asked, left = stepping_up.is_recent, [calls]

    def is_recent(session: LiveSession) -> bool:
        found = asked(session)
        left[0] -= 1
        if left[0] == 0:
            with database.writing():
                people.end_all_of(session.user_id, because="revoked", by=OPERATOR)
        return found

    monkeypatch.setattr(stepping_up, "is_recent", is_recent)


def with_app(browser: Browser, olivia: str) -> None:
    browser.sign_in("olivia")
    set_up(olivia)
    codes_of(olivia)
    step_up(browser, olivia, "totp")


def of(user_id: str) -> tuple[list[str], int, str, int]:
    """What the person has, and in how many places they are signed in."""
    database.session().rollback()
    kinds = [one.kind for one in factors.of(user_id)]
    return kinds, recovery_codes.left(user_id), passwords.stored(user_id), len(people.of_person(user_id))


@pytest.mark.rule("TOT-08", "SES-07")
@pytest.mark.parametrize(
    ("path", "button", "values"),
    [
        ("/me/security/app", "app-remove", {"act": "remove"}),
        ("/me/security/app", "app-begin", {"act": "begin"}),
        ("/me/security/codes", "codes-make", {}),
        ("/me/security/password", "password-submit", {"password": ANOTHER}),
        ("/me/addresses", "address-add", {"act": "add", "email": "new@example.com"}),
    ],
    ids=["app", "new app", "codes", "password", "address"],
)
def test_whoever_is_signed_out_meanwhile_changes_nothing(
    browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch, path: str, button: str, values: dict[str, str]
) -> None:
    with_app(browser, olivia)
    page, before = browser.get(path), of(olivia)
    signed_out_after(monkeypatch)
    assert browser.post(page, button, **values).status_code == 403
    assert of(olivia) == (*before[:3], 0)


@pytest.mark.rule("TOT-03", "TOT-08", "SES-07")
def test_an_app_that_is_set_up_meanwhile_is_nobodys_and_opens_nothing(
    browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.sign_in("olivia")
    page, uri = setting_up(browser)
    signed_out_after(monkeypatch)
    assert browser.post(page, "otp", otp=Phone.scanning(uri).code()).status_code == 403
    assert of(olivia)[::3] == ([], 0)


@pytest.mark.rule("PWD-07", "SES-07")
def test_a_password_that_is_changed_meanwhile_opens_nothing(
    browser: Browser, olivia: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.sign_in("olivia")
    page, before = browser.get("/me/security/password"), of(olivia)
    verify = passwords.verify

    def verified(user_id: str | None, plaintext: str) -> passwords.Verdict:
        with database.writing():
            people.end_all_of(olivia, because="revoked", by=OPERATOR)
        return verify(user_id, plaintext)

    monkeypatch.setattr(passwords, "verify", verified)
    assert browser.post(page, "password-submit", current=GOOD, password=ANOTHER).status_code == 403
    assert of(olivia) == (*before[:3], 0)


# Trust by a recovery code


@pytest.mark.rule("TOT-04")
def test_trust_by_a_recovery_code_ends_with_the_codes(browser: Browser, olivia: str) -> None:
    with_app(browser, olivia)
    for end in (
        lambda: changing_factors.make_codes(olivia, by=OPERATOR),
        lambda: changing_factors.give_codes(olivia, ("0123-4567-89ab-cdef",), by=OPERATOR),
        lambda: changing_factors.remove(olivia, factors.of(olivia)[0].id, by=OPERATOR),
    ):
        assert trust(browser, olivia)
        with database.writing():
            end()
        assert trusted_devices.of(olivia) == []


@pytest.mark.rule("TOT-04")
def test_whoever_makes_new_codes_trusts_no_browser_by_an_old_one(browser: Browser, other: Browser, olivia: str) -> None:
    phone = given_to(olivia)
    codes_of(olivia)
    browser.send(browser.sign_in("olivia"), "otp", otp=phone.code())
    other.get("/login")
    trust(other, olivia)
    trust(browser, olivia, factors.of(olivia)[0].id)
    browser.send(browser.get("/me/security/codes"), "codes-make")
    database.session().rollback()
    assert [one.factor_id for one, _ in trusted_devices.of(olivia)] == [factors.of(olivia)[0].id]
