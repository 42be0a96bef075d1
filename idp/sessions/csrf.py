"""Tokens in our forms: that whoever sends a form was shown it, in this browser and for this purpose (SES-04).

A token is a salt and an HMAC over it, the browser and the purpose. It names the row of the browser and not the cookie,
which changes at every sign-in: what is open in another tab stays usable, what another browser was shown is not. The
newest master key signs, older ones verify until they are removed (KEY-04).
"""

import base64
import binascii
import hmac
import json
import secrets

from idp.platform import vault

FIELD = "csrf_token"
"""The name of the hidden field."""

_SALT_BYTES = 16
_PURPOSE = "csrf"


def token(browser_id: str, purpose: str) -> str:
    """A token for a form that is shown in a browser; every call makes another one.

    `purpose`: what the form is part of, e.g. the id of a sign-in or of a session, or empty.
    """
    salt = secrets.token_bytes(_SALT_BYTES)
    return base64.urlsafe_b64encode(salt + _mac(vault.derive(_PURPOSE), salt, browser_id, purpose)).decode()


def is_genuine(presented: str, browser_id: str, purpose: str) -> bool:
    """Whether `presented` was made for that browser and purpose; takes the same time for every token of its length."""
    try:
        decoded = base64.b64decode(presented.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return False
    salt, mac = decoded[:_SALT_BYTES], decoded[_SALT_BYTES:]
    made = [_mac(key, salt, browser_id, purpose) for key in vault.derived_keys(_PURPOSE)]
    return any(hmac.compare_digest(mac, one) for one in made)


def _mac(key: bytes, salt: bytes, browser_id: str, purpose: str) -> bytes:
    return hmac.digest(key, salt + json.dumps([browser_id, purpose]).encode(), "sha256")
