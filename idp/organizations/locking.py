"""One change of access at a time in an organization: who decides sees what the one before decided."""

from sqlalchemy import select

from idp.organizations.models import Organization
from idp.platform import database
from idp.platform.errors import Conflict, NotFound

_HELD = "organizations_locked"


def lock(*organization_ids: str) -> None:
    """Take the turn of these organizations until the transaction ends; the first act of every rule that changes access.

    They are locked in the order of their ids, and before any person, so that two rules never wait for each other. What
    was loaded before is read anew afterwards. Raises `NotFound` when one does not exist.
    """
    session = database.session()
    if not database.is_writing():
        raise RuntimeError("a change of access outside of database.writing()")
    held: set[str] = session.info.setdefault(_HELD, set())
    wanted = sorted(set(organization_ids) - held)
    for organization_id in wanted:
        row = select(Organization.id).where(Organization.id == organization_id).with_for_update(key_share=True)
        if session.execute(row).scalar_one_or_none() is None:
            raise NotFound("There is no such organization.")
        held.add(organization_id)
    if wanted:
        session.expire_all()


def holds(*organization_ids: str) -> bool:
    """Whether this transaction has the turn of all of these organizations."""
    held: set[str] = database.session().info.get(_HELD, set())
    return held.issuperset(organization_ids)


def lock_open(*organization_ids: str) -> None:
    """`lock`, and refuse when one of them is closed: what is closed is changed no more."""
    lock(*organization_ids)
    closed = select(Organization.id).where(Organization.id.in_(organization_ids), Organization.closed_at.is_not(None))
    if database.session().execute(closed).first():
        raise Conflict("The organization is closed.")
