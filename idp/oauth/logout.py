"""Signing out because an application asks (OpenID Connect RP-Initiated Logout 1.0): of whom, and where to then."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from idp.clients.registered import RegisteredClient
from idp.oauth import active_clients, id_tokens
from idp.oauth.id_tokens import Hint
from idp.oauth.responses import with_query
from idp.platform.forms import Fields
from idp.sessions.people import LiveSession

LIMITS: Final = {
    "id_token_hint": 8_000,
    "client_id": 128,
    "post_logout_redirect_uri": 2_100,
    "state": 4_000,
    "ui_locales": 1_000,
}
"""The parameters that are read (§2), the last by every page of ours, and the characters of each; one that is longer
counts as not sent.
"""


@dataclass(frozen=True)
class LogoutRequest:
    """What an application asks for. `hint`: whose session. `client`: who asks; `None`: nobody knows.

    `return_to`: where the browser goes afterwards, an address of the client's; empty: our own page (LGO-02).
    """

    hint: Hint | None
    client: RegisteredClient | None
    return_to: str


def sent(fields: Fields) -> dict[str, str]:
    """The parameters that are read, as they were sent."""
    found = {name: fields.get(name) or "" for name in LIMITS}
    return {name: value for name, value in found.items() if 0 < len(value) <= LIMITS[name]}


def parse(parameters: dict[str, str]) -> LogoutRequest:
    """The request that `sent` parameters make.

    A hint that is for another client than `client_id` is none (§2); then it is `client_id` that says who asks.
    """
    client_id = parameters.get("client_id", "")
    hint = id_tokens.read_hint(parameters.get("id_token_hint", ""), client_id)
    client = active_clients.find(client_id or (hint.client_id if hint else ""))
    return LogoutRequest(hint, client, _return_to(client, parameters))


def meant(hint: Hint | None, sessions: Iterable[LiveSession]) -> LiveSession | None:
    """The one of these sessions in which the hint was issued. Without it somebody has to confirm (LGO-01, LGO-03)."""
    if hint is None:
        return None
    return next((one for one in sessions if (one.id, one.user_id) == (hint.session_id, hint.user_id)), None)


def _return_to(client: RegisteredClient | None, parameters: dict[str, str]) -> str:
    """The address, if it is one that the client has registered, to the byte (§3); with the state."""
    address, state = parameters.get("post_logout_redirect_uri", ""), parameters.get("state", "")
    if client is None or address not in client.texts("post_logout_redirect_uris"):
        return ""
    return with_query(address, {"state": state}) if state else address
