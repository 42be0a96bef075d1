"""Signing out at an application's wish, between two sites in Chromium under the policies that we ship."""

from collections.abc import Iterator
from html import escape
from urllib.parse import urlencode

import pytest
from flask import current_app
from playwright.sync_api import Page, expect

from tests.actors import GOOD
from tests.flows import browsers, people
from tests.flows.browsers import Look, Visitor, press
from tests.flows.test_form_post import SCRIPTS, Shop, shop
from tests.oauth import minting
from tests.oauth.actors import relying_party

__all__ = ["shop"]


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> Iterator[Visitor]:
    """Somebody with a browser, at a provider that knows the shop and has people."""

    def prepare() -> None:
        people.build()
        app = current_app._get_current_object()  # type: ignore[attr-defined]
        minting.make_keys()
        addresses = {"redirect_uris": [f"{shop.url}/cb"], "post_logout_redirect_uris": [f"{shop.url}/bye"]}
        relying_party(app, "app_shop", **addresses)

    with browsers.visitor(tmp_path_factory.mktemp("site"), prepare, rate_limits="off") as found:
        yield found


@pytest.fixture(autouse=True)
def _goodbye(shop: Shop) -> None:
    shop.page = "<title>goodbye</title>"


def sign_in(page: Page) -> None:
    page.fill("[name=username]", "olivia")
    press(page, "#identifier-submit")
    page.fill("#password", GOOD)
    press(page, "#login-submit")
    expect(page.locator("body")).to_have_attribute("data-page", "me")


def wish(shop: Shop) -> dict[str, str]:
    return {"client_id": "app_shop", "post_logout_redirect_uri": f"{shop.url}/bye", "state": "s-1"}


@SCRIPTS
@pytest.mark.rule("LGO-01", "LGO-06")
def test_after_the_question_the_way_leads_to_the_application_and_back_shows_nobody(
    visitor: Visitor, shop: Shop, look: Look
) -> None:
    with visitor.visit("/login", look) as page:
        sign_in(page)
        page.goto(f"{visitor.url}/oauth2/logout?{urlencode(wish(shop))}")
        expect(page.locator("body")).to_have_attribute("data-page", "logout")
        expect(page.get_by_text("Olivia").first).to_be_visible()
        press(page, "#logout-confirm")
        expect(page).to_have_title("goodbye")
        assert page.url == f"{shop.url}/bye?state=s-1"
        for _ in range(2):
            page.go_back()
            expect(page.get_by_text("Olivia")).to_have_count(0)


@pytest.mark.rule("LGO-01", "SES-03")
def test_a_form_of_another_site_leads_to_the_question_of_whoever_is_signed_in(visitor: Visitor, shop: Shop) -> None:
    inputs = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in wish(shop).items()
    )
    action = f"{visitor.url}/oauth2/logout"
    with visitor.visit("/login") as page:
        sign_in(page)
        shop.page = f'<form method="post" action="{action}">{inputs}<button id="go">Go</button></form>'
        page.goto(f"{shop.url}/")
        press(page, "#go")
        expect(page.locator("body")).to_have_attribute("data-page", "logout")
        press(page, "#logout-cancel")
        expect(page.locator("body")).to_have_attribute("data-page", "me")
