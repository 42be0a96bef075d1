"""What happens when a directory or connection deactivates somebody: also the owner, whom the deputy then follows."""

from idp.audit.trail import Actor
from idp.organizations import locking, memberships, ownership


def deactivated_upstream(organization_id: str, member_id: str, *, by: Actor) -> None:
    """Suspend a membership because its directory or connection says so.

    If it owns the organization, the deputy becomes owner in the same transaction. Raises `ownership.NotUsable` (409)
    without a usable deputy; then nothing has changed.
    """
    locking.lock(organization_id)
    member = memberships.find(organization_id, member_id)
    owner = ownership.owner_of(organization_id)
    if owner.member_id == member.id:
        deputy = ownership.usable_deputy(organization_id)
        ownership.pass_on(owner, deputy, by=by, event="organization.owner.succeeded")
    memberships.put_to_rest(member, by=by)
