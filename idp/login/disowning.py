"""“This wasn't me”: whoever is told of something that they did not do ends what others might have begun with it."""

from idp.audit import trail
from idp.audit.trail import Actor
from idp.credentials import mailed_links
from idp.credentials.mailed_links import Link, LinkVoid
from idp.login import everywhere
from idp.organizations import proven_addresses
from idp.users.locks import lock


def find(token: str) -> Link:
    """What the link with that token is for. Raises `LinkVoid`, also where its address is its person's no more: whoever
    reads that mailbox now has nothing to say about them.
    """
    link = mailed_links.find(token, "not_me")
    holder = proven_addresses.holder(link.address_key)
    if holder is None or holder.user_id != link.user_id:
        raise LinkVoid
    return link


def disown(token: str) -> Link:
    """Sign the link's person out everywhere; the link is used up. Inside `database.writing()`. Raises `LinkVoid`."""
    user_id = find(token).user_id or ""
    lock(user_id)
    link = mailed_links.spend(token, "not_me")
    by = Actor("user", user_id)
    ended = everywhere.sign_out(user_id, because="revoked", by=by)
    trail.record("user.disowned", by=by, subject=user_id, after={"sessions": ended}, email=link.address)
    return link
