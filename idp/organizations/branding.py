"""Branding: a hue and a logo, by which people know an organization at once. Nothing else of a page is theirs to set.

Lightness and chroma stay ours, so that no hue makes text hard to read. A logo is a picture that holds no scripts.
"""

import hashlib
from dataclasses import dataclass

from idp.audit import trail
from idp.audit.trail import Actor
from idp.organizations import authority, locking
from idp.organizations.effective import Context
from idp.organizations.models import Branding
from idp.platform import database
from idp.platform.errors import Invalid

HUES = 360
"""Degrees of the circle of hues (CSS Color 4 §9.3, `oklch`)."""

LARGEST_LOGO = 64_000
"""Bytes."""

_PICTURES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


@dataclass(frozen=True)
class Brand:
    """`hue`: from 0 to 359 degrees, `None` for that of the product. `logo`: a PNG, JPEG or GIF, empty for none."""

    hue: int | None = None
    logo: bytes = b""

    def __post_init__(self) -> None:
        if self.hue is not None and not 0 <= self.hue < HUES:
            raise Invalid(f"a hue is a number from 0 to {HUES - 1}", field="hue")
        if len(self.logo) > LARGEST_LOGO:
            raise Invalid(f"a logo has at most {LARGEST_LOGO} bytes", field="logo")
        if self.logo and not self.logo_type:
            raise Invalid("a logo is a PNG, JPEG or GIF picture", field="logo")

    @property
    def logo_type(self) -> str:
        """The media type of the logo, read off its first bytes."""
        return next((kind for sign, kind in _PICTURES.items() if self.logo.startswith(sign)), "")

    @property
    def version(self) -> str:
        """Another one for every other hue and logo."""
        return hashlib.sha256(f"{self.hue} ".encode() + self.logo).hexdigest()[:16]


def of(organization_id: str) -> Brand:
    """The brand of the organization; that of the product where it has set none, or is none."""
    stored = database.session().get(Branding, organization_id)
    return Brand() if stored is None else Brand(stored.hue, stored.logo)


def change(organization_id: str, wanted: Brand, *, by: Actor) -> bool:
    """Let `wanted` be the brand; whether that changed anything. Takes `organization.write`."""
    locking.lock_open(organization_id)
    authority.require(by, "organization.write", Context(organization_id))
    before = of(organization_id)
    if before == wanted:
        return False
    database.session().merge(Branding(organization_id=organization_id, hue=wanted.hue, logo=wanted.logo))
    trail.record(
        "organization.changed",
        by=by,
        subject=organization_id,
        organization=organization_id,
        before=_told(before),
        after=_told(wanted),
    )
    return True


def _told(brand: Brand) -> dict[str, object]:
    return {"hue": brand.hue, "logo": hashlib.sha256(brand.logo).hexdigest() if brand.logo else ""}
