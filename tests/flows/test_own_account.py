"""What people do with their own account, in Chromium: ask why, leave, take their data along, and go for good."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from idp.organizations import memberships
from idp.platform import database
from idp.users import users
from idp.users.users import UserSettings
from tests.flows import browsers, people
from tests.flows.browsers import Look, Visitor, accessibility_problems, press
from tests.flows.test_self_service import ages
from tests.flows.test_sign_in import SCRIPTS, fits, give, is_at, sign_in
from tests.platform.words import untranslated
from tests.traces import OPERATOR

LOOKS = {"wide": Look(), "right to left, narrow and dark": Look(width=320, scheme="dark", language="ar")}

PATHS = (
    "/me/access?may=permission:payments.read",
    "/me/access?may=permission:roles.write",
    "/me/organizations",
    "/me/organizations/hundreds/leave",
    "/me/activity",
    "/me/export",
    "/me/delete",
)
EVIL = ("/me/access?may=role:view_only", "/me/organizations", "/me/organizations/evil/leave")
LITTLE = ("/me/access", "/me/organizations", "/me/activity?kind=applications", "/me/apps", "/me/delete")


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that has people."""
    with browsers.visitor(tmp_path_factory.mktemp("site"), people.build, rate_limits="off") as found:
        yield found


@SCRIPTS
def test_somebody_asks_why(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, "olivia")
        page.get_by_role("link", name="What I may do").first.click()
        page.get_by_label("May I").select_option(label="Make and change payments")
        page.get_by_label("in", exact=True).select_option(label="EU shop")
        press(page, "#ask-submit")
        expect(page.locator("#answer")).to_have_text("Yes: Make and change payments in EU shop")
        page.get_by_label("in", exact=True).select_option(label="US shop")
        press(page, "#ask-submit")
        expect(page.locator("#answer")).to_have_text("No: Make and change payments in US shop")
        expect(page.get_by_text("A role that would do:")).to_be_visible()
        page.goto(f"{visitor.url}/me/access?organization=evil")
        is_at(page, "error")


@SCRIPTS
def test_somebody_leaves_an_organization_and_an_owner_cannot(visitor: Visitor, look: Look) -> None:
    username = "bob" if look.scripts else "nick"
    with visitor.app.app_context(), database.writing():
        memberships.add("org_northwind", memberships.NewMember(f"usr_{username}"), by=OPERATOR)
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, username)
        page.get_by_role("link", name="Organizations").first.click()
        ages(visitor, username)
        page.get_by_role("link", name="Leave").click()
        is_at(page, "password")
        give(page)
        expect(page.locator("h1")).to_have_text("Leave Northwind")
        press(page, "#leave-submit")
        expect(page.get_by_role("status")).to_contain_text("You have left the organization.")
        page.go_back()
        page.goto(f"{visitor.url}/me/organizations/northwind/leave")
        is_at(page, "error")
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, "otto")
        page.goto(f"{visitor.url}/me/organizations/northwind/leave")
        expect(page.get_by_role("alert")).to_contain_text("Transfer the ownership")
        expect(page.locator("#leave-submit")).to_have_count(0)


@SCRIPTS
def test_somebody_takes_their_data_along(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, "tom")
        page.click("#export")
        with page.expect_download() as download:
            page.click("#export-submit")
        assert download.value.suggested_filename == "my-data.json"
        told = json.loads(download.value.path().read_text("utf-8"))
        assert told["profile"]["username"] == "tom"
        assert {one["account"] for one in told["roles"]} == {"eu", "us", "box"}


@SCRIPTS
def test_somebody_goes_for_good_after_a_mistake(visitor: Visitor, look: Look) -> None:
    username = f"guest{int(look.scripts)}"
    with visitor.app.app_context(), database.writing():
        made = users.create(UserSettings(username), id=f"usr_{username}", by=OPERATOR)
        people.give_password(made.id)
    with visitor.visit("/login", look) as page, visitor.visit("/login", look) as elsewhere:
        sign_in(elsewhere, visitor, username)
        sign_in(page, visitor, username)
        page.click("#delete")
        page.fill("#username", "somebody")
        press(page, "#delete-submit")
        expect(page.get_by_role("alert")).to_be_focused()
        expect(page).to_have_title(re.compile("^Error: "))
        page.get_by_role("link", name="Type it as it is shown below").click()
        expect(page.locator("#username")).to_be_focused()
        page.fill("#username", username)
        press(page, "#delete-submit")
        expect(page.locator("h1")).to_have_text("Your account is deleted")
        page.reload()
        expect(page.locator("h1")).to_have_text("Your account is deleted")
        elsewhere.reload()
        is_at(elsewhere, "login")
    with visitor.visit("/login", look) as page:
        sign_in(page, visitor, "otto")
        page.goto(f"{visitor.url}/me/delete")
        expect(page.get_by_role("alert")).to_contain_text("Transfer the ownership")


# Looks


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_everybody_can_read_and_use_every_page(visitor: Visitor, look: Look) -> None:
    with visitor.visit("/login", look) as page:
        for _ in every_page(page, visitor):
            assert accessibility_problems(page) == []
            fits(page)


def test_longer_words_still_fit_and_none_is_left_out(visitor: Visitor) -> None:
    with visitor.visit("/login?ui_locales=xx-long", Look(width=320)) as page:
        for _ in every_page(page, visitor):
            fits(page)
            assert untranslated(page.content(), *NAMES) == [], page.url


NAMES = ("Canopy", "UTC", "Northwind", "Hundreds & Sons", "xx-long")
"""What is the same in every language."""


def every_page(page: Page, visitor: Visitor) -> Iterator[None]:
    """Lead `page` over these pages: with little, with much and long names, with evil ones, and with what goes wrong."""
    for username, paths in (("mona", PATHS), ("eve", EVIL), ("bob", LITTLE)):
        sign_in(page, visitor, username)
        for path in paths:
            page.goto(visitor.url + path)
            is_at(page, "me")
            yield
    page.goto(f"{visitor.url}/me/delete")
    page.fill("#username", "x")
    press(page, "#delete-submit")
    yield
    sign_in(page, visitor, "otto")
    for path in ("/me/organizations", "/me/organizations/evil/leave", "/me/delete"):
        page.goto(visitor.url + path)
        yield
