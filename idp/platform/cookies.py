"""Cookies: their names, how a header is read so that nothing shadows anything, and how one is set (SES-03)."""

from idp.platform.settings import Settings


def name_of(cookie: str, settings: Settings) -> str:
    """The full name of `cookie`: bound to this host by the browser where the issuer is https (RFC 6265bis §4.1.3.2)."""
    return f"__Host-idp_{cookie}" if settings.secure else f"idp_{cookie}"


def read(header: str, name: str) -> str | None:
    """The value of the cookie `name` in a `Cookie` header; `None` when it is missing, or was sent with two values."""
    found = {
        value.strip()
        for key, equals, value in (piece.partition("=") for piece in header.split(";"))
        if equals and key.strip() == name
    }
    return found.pop() if len(found) == 1 else None


def written(cookie: str, value: str, settings: Settings, *, max_age: int) -> str:
    """The `Set-Cookie` header for `cookie`; `max_age` in seconds. `value` is URL-safe text."""
    attributes = f"{name_of(cookie, settings)}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}"
    return f"{attributes}; Secure" if settings.secure else attributes
