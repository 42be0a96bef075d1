"""Links that a browser has shown: what stands for them where addresses are written down, as the way back of a sign-in.

The token of a link is a secret, and of secrets that are handed out nothing but digests is stored (COD-07). What stands
for one here is a MAC over what the link is for and the browser that showed it: it is worth nothing in another browser.
"""

import base64
import hmac
import json

from idp.platform import vault

_PURPOSE = "shown link"
_BETWEEN = "~"


def handle(of: str, digest: bytes, browser_id: str) -> str:
    """What stands for the link with that `digest` in this browser; `of`: the id of what it is for."""
    return f"{of}{_BETWEEN}{_mac(vault.derive(_PURPOSE), of, digest, browser_id)}"


def named(handle: str) -> str:
    """The id of what a handle is for, before anybody has looked whether it is genuine; empty for what is no handle."""
    of, between, _ = handle.partition(_BETWEEN)
    return of if between else ""


def is_genuine(handle: str, digest: bytes, browser_id: str) -> bool:
    """Whether this browser was given that handle for the link with that `digest`."""
    of, _, mac = handle.partition(_BETWEEN)
    made = [_mac(key, of, digest, browser_id) for key in vault.derived_keys(_PURPOSE)]
    return any(hmac.compare_digest(mac.encode(), one.encode()) for one in made)


def _mac(key: bytes, of: str, digest: bytes, browser_id: str) -> str:
    said = json.dumps([of, digest.hex(), browser_id]).encode()
    return base64.urlsafe_b64encode(hmac.digest(key, said, "sha256")).decode().rstrip("=")
