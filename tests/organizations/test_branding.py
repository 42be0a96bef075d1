"""Branding: a hue and a picture, and nothing that could hide anything."""

import pytest
from flask import Flask

from idp.audit.trail import Actor
from idp.organizations import branding
from idp.organizations.authority import MayNot
from idp.organizations.branding import LARGEST_LOGO, Brand
from idp.platform import database
from idp.platform.errors import Invalid
from tests.organizations.actors import ACME
from tests.traces import OPERATOR, entries

PICTURE = b"\x89PNG\r\n\x1a\n" + b"pixels"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"


def test_a_brand_is_kept_told_in_the_trail_and_changed_once(acme: Flask) -> None:
    assert branding.of(ACME) == Brand()
    for changes in (True, False):
        with database.writing():
            assert branding.change(ACME, Brand(155, PICTURE), by=OPERATOR) is changes
    assert branding.of(ACME) == Brand(155, PICTURE)
    assert branding.of(ACME).logo_type == "image/png"
    assert [one.event for one in entries(ACME)].count("organization.changed") == 1
    assert "pixels" not in repr([vars(one) for one in entries(ACME)])


def test_every_other_brand_has_another_version() -> None:
    assert len({Brand().version, Brand(1).version, Brand(1, PICTURE).version, Brand(2, PICTURE).version}) == 4


@pytest.mark.rule("API-04")
@pytest.mark.parametrize("logo", [SVG, b"<html>", b"x", PICTURE + b"x" * LARGEST_LOGO])
def test_a_logo_is_a_small_picture_without_scripts(logo: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        Brand(logo=logo)
    assert refused.value.field == "logo"


@pytest.mark.parametrize("hue", [-1, 360])
def test_a_hue_lies_on_the_circle(hue: int) -> None:
    with pytest.raises(Invalid):
        Brand(hue)


def test_only_whoever_may_change_the_organization_changes_its_brand(acme: Flask) -> None:
    with pytest.raises(MayNot), database.writing():
        branding.change(ACME, Brand(155), by=Actor("user", "usr_nick"))
    assert branding.of(ACME) == Brand()
