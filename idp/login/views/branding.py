"""`/branding/<organization>.css` and `.image`: the hue and the logo of an organization, for pages that name it.

Whoever has set none, and whoever is no organization, get the same: these addresses tell nothing (ORG-11).
"""

from dataclasses import dataclass

from flask import Flask, Response

from idp.login.transactions import SignIn
from idp.organizations import branding, organizations
from idp.platform.access import public
from idp.platform.http_refusals import NoSuchPage


@dataclass(frozen=True)
class Shown:
    """An organization as a page names it: `sheet` and `logo` are addresses, empty where there is nothing of its own."""

    name: str
    sheet: str
    logo: str


def init(app: Flask) -> None:
    """Serve both in `app`."""
    app.add_url_rule("/branding/<organization>.css", "branding", sheet, methods=["GET"])
    app.add_url_rule("/branding/<organization>.image", "branding_logo", logo, methods=["GET"])


def shown(sign_in: SignIn | None) -> Shown | None:
    """The organization that the sign-in is for, where whoever asked for it said so; never one that a name hints at."""
    named = sign_in.demand.organizations if sign_in else None
    if named is None or len(named) != 1:
        return None
    (id,) = named
    return of(id)


def of(id: str) -> Shown:
    """That organization, for a page that is about it."""
    brand = branding.of(id)
    return Shown(
        organizations.find(id).name,
        f"/branding/{id}.css?v={brand.version}" if brand.hue is not None else "",
        f"/branding/{id}.image?v={brand.version}" if brand.logo else "",
    )


@public
def sheet(organization: str) -> Response:
    """The hue, unlayered and so above the tokens of our style sheet."""
    hue = branding.of(organization).hue
    return Response("" if hue is None else f":root{{--brand-h:{hue}}}\n", mimetype="text/css")


@public
def logo(organization: str) -> Response:
    """The picture."""
    brand = branding.of(organization)
    if not brand.logo:
        raise NoSuchPage
    return Response(brand.logo, mimetype=brand.logo_type)
