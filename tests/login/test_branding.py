"""Branding: an organization's hue, logo and name on pages that name it, and on no others."""

import pytest
from flask import Flask

from idp.login import transactions
from idp.login.demands import Demand
from idp.organizations import branding, organizations
from idp.organizations.branding import Brand
from idp.organizations.organizations import OrganizationSettings
from idp.platform import database
from idp.sessions import browsers
from tests.actors import Browser, Page
from tests.traces import OPERATOR

PICTURE = b"\x89PNG\r\n\x1a\n" + b"pixels"
NAME = "Northwind <b>&</b> Sons"


@pytest.fixture
def northwind(app: Flask, olivia: str) -> str:
    with database.writing():
        settings = OrganizationSettings("northwind", NAME)
        found = organizations.found(settings, olivia, id="org_northwind", by=OPERATOR).id
        branding.change(found, Brand(155, PICTURE), by=OPERATOR)
        return found


def asked_for(browser: Browser, *named: str) -> Page:
    """The first page of a sign-in for these organizations."""
    browser.get("/login")
    with database.writing():
        known = browsers.recognise(browser.cookie())
        assert known
        begun = transactions.begin(known.id, Demand(organizations=named or None), return_to="/me")
    return browser.get(f"/login?txn={begun.id}")


def test_a_page_that_names_an_organization_looks_like_it(browser: Browser, northwind: str) -> None:
    page = asked_for(browser, northwind)
    version = Brand(155, PICTURE).version
    assert page.title == f"Sign in - {NAME}"
    assert f'href="/branding/org_northwind.css?v={version}"' in page.text
    assert f'src="/branding/org_northwind.image?v={version}"' in page.text
    sheet = browser.client.get(f"/branding/org_northwind.css?v={version}")
    assert (sheet.mimetype, sheet.text) == ("text/css", ":root{--brand-h:155}\n")
    image = browser.client.get(f"/branding/org_northwind.image?v={version}")
    assert (image.mimetype, image.data, image.headers["X-Content-Type-Options"]) == ("image/png", PICTURE, "nosniff")


@pytest.mark.rule("LOG-02")
def test_nobody_learns_from_a_name_which_organization_it_belongs_to(browser: Browser, northwind: str) -> None:
    pages = [asked_for(browser), asked_for(browser, northwind, "org_other")]
    pages += [browser.send(page, "username", username="olivia@northwind.test") for page in pages]
    assert not [page for page in pages if "branding" in page.text or "Northwind" in page.text]


@pytest.mark.rule("ORG-11")
def test_what_is_no_organization_looks_like_one_that_has_set_nothing(browser: Browser, northwind: str) -> None:
    with database.writing():
        branding.change(northwind, Brand(), by=OPERATOR)
    for kind, status in (("css", 200), ("image", 404)):
        plain, none = (browser.client.get(f"/branding/{id}.{kind}") for id in (northwind, "org_none"))
        assert (plain.status_code, none.status_code) == (status, status)
        assert kind == "image" or plain.data == none.data == b""
