"""The headers that every answer carries unless its view says otherwise (HTT-01, HTT-02)."""

from collections.abc import Sequence

from idp.platform.settings import Settings

NO_STORE = ("Cache-Control", "no-store")


def content_security_policy(form_action: Sequence[str] = (), *, nonce: str = "") -> str:
    """The policy of a page; `form_action`: origins or schemes beside our own that its forms may lead to.

    `nonce`: what scripts of the page carry; without it there are none.
    """
    targets = " ".join(("'self'", *form_action))
    scripts = f"script-src 'nonce-{nonce}'; " if nonce else ""
    return (
        f"default-src 'none'; {scripts}style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"form-action {targets}; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    )


def for_every_answer(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Names and values; HSTS only where the issuer is https."""
    headers = (
        ("Content-Security-Policy", content_security_policy()),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", _PERMISSIONS),
        ("Referrer-Policy", "same-origin"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        NO_STORE,
    )
    lasting = (("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),)
    return headers + lasting if settings.secure else headers


_PERMISSIONS = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "usb",
    )
)
