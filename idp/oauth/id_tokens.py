"""ID tokens read back: as hints of whom and what a request is about, never as credentials."""

from dataclasses import dataclass

from idp.oauth import active_clients, own_tokens, subjects
from idp.oauth.own_tokens import NotOurs, OwnToken
from idp.platform import clock

TYPES = frozenset({"JWT", ""})
"""What the header of an ID token says; others than access tokens and logout tokens, which are no hints (JWT-02)."""


@dataclass(frozen=True)
class Hint:
    """What an ID token that we once issued says: about whom, to which client, in which session and context.

    Texts that it does not say are empty. `issued_at`: microseconds. It may have expired long ago; the person may be
    gone, the session over: that is for whoever takes the hint to see.
    """

    user_id: str
    client_id: str
    session_id: str
    organization_id: str
    account_id: str
    issued_at: int


def read_hint(raw: str, client_id: str = "") -> Hint | None:
    """The hint that `raw` gives (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2); expired ones count.

    `None` for everything that is no ID token of ours, whose key is published no longer, that was issued to a client
    that is gone or disabled, or to another one than `client_id`, if one is named.
    """
    try:
        hint = _parsed(own_tokens.read(raw, purpose="id_token", types=TYPES))
    except NotOurs:
        return None
    return hint if client_id in ("", hint.client_id) else None


def _parsed(token: OwnToken) -> Hint:
    token.seconds("exp")  # signed claims of userinfo never expire, and are no ID token
    (client_id, *others) = token.texts("aud")
    if others:
        raise NotOurs("issued to several")
    return Hint(
        user_id=_person(token.required("sub"), client_id),
        client_id=client_id,
        session_id=token.text("sid"),
        organization_id=token.text("org_id"),
        account_id=token.text("account_id"),
        issued_at=token.seconds("iat") * clock.SECOND,
    )


def _person(subject: str, client_id: str) -> str:
    client = active_clients.find(client_id)
    found = subjects.person(subject, client) if client else None
    if found is None:
        raise NotOurs("the client is not there, or knows nobody by that name")
    return found
