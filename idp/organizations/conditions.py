"""What must be true for a grant to count: each condition once, as a SQL expression.

`effective` requires all of them; `explain` shows each of them green or red. Both ask about `AT`, the horizon of
history (`clock.FOREVER` for now), and `CLOCK`, the instant that expiry and cooling-off are compared with. What has
no more than `SPARE` microseconds left has expired: none, unless a question says so.
"""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Exists, Text, and_, bindparam, literal, or_, select

from idp.clients.models import OPERATOR, ClientDisablement, ClientSwitch
from idp.organizations.models import AccountSuspension, MembershipStatus, OrganizationSuspension
from idp.users.models import UserDisablement

AT = bindparam("at", type_=BigInteger)
CLOCK = bindparam("clock", type_=BigInteger)
SPARE = bindparam("spare", 0, type_=BigInteger)
USER = bindparam("user_id", type_=Text)
CLIENT = bindparam("client_id", type_=Text)
ORGANIZATION = bindparam("organization_id", type_=Text)
ACCOUNT = bindparam("account_id", type_=Text)
GROUP = bindparam("account_group_id", type_=Text)


def _any(*conditions: ColumnElement[bool]) -> Exists:
    """Some row meets the conditions; selects nothing of it, so that an index alone can answer."""
    return select(literal(1)).where(*conditions).exists()


def is_open(edge: Any) -> ColumnElement[bool]:
    """The edge (a `Period` model or an alias of one) was true at `AT`."""
    return and_(edge.started_at <= AT, or_(edge.ended_at.is_(None), edge.ended_at > AT))


def is_open_after(edge: Any, instant: int) -> ColumnElement[bool]:
    """The edge is true now, or ended after `instant`."""
    return or_(edge.ended_at.is_(None), edge.ended_at > instant)


def counts(grant: Any) -> ColumnElement[bool]:
    """The grant has begun to count (cooling-off) and has not expired at `CLOCK`."""
    return and_(has_begun(grant), has_not_expired(grant))


def has_begun(grant: Any) -> ColumnElement[bool]:
    """The cooling-off of the grant is over at `CLOCK`."""
    return and_(grant.effective_from <= CLOCK)


def has_not_expired(grant: Any) -> ColumnElement[bool]:
    """The grant has no expiry, or one after `CLOCK` by more than `SPARE`."""
    return or_(grant.expires_at.is_(None), grant.expires_at > CLOCK + SPARE)


def is_active(member_id: Any) -> ColumnElement[bool]:
    """The membership is neither invited nor suspended."""
    return _any(MembershipStatus.member_id == member_id, MembershipStatus.status == "active", is_open(MembershipStatus))


def user_enabled(user_id: Any) -> ColumnElement[bool]:
    """The person is not disabled."""
    return ~_any(UserDisablement.user_id == user_id, is_open(UserDisablement))


def organization_active(organization_id: Any) -> ColumnElement[bool]:
    """The organization is neither suspended nor closed."""
    return ~_any(OrganizationSuspension.organization_id == organization_id, is_open(OrganizationSuspension))


def account_active(account_id: Any) -> ColumnElement[bool]:
    """The account is not suspended."""
    return ~_any(AccountSuspension.account_id == account_id, is_open(AccountSuspension))


def client_enabled(client: Any) -> ColumnElement[bool]:
    """The client exists and is not disabled."""
    return and_(
        or_(client.ended_at.is_(None), client.ended_at > AT),
        ~_any(ClientDisablement.client_id == client.id, is_open(ClientDisablement)),
    )


def client_in_force(client: Any) -> ColumnElement[bool]:
    """The client is enabled, and is the operator's, or an organization's that is neither suspended nor closed."""
    return and_(client_enabled(client), or_(client.owner == OPERATOR, organization_active(client.owner)))


def client_usable(client: Any, organization_id: Any) -> ColumnElement[bool]:
    """The client is the organization's own, or an operator's that is switched on there."""

    def switched(on: int) -> ColumnElement[bool]:
        return _any(
            ClientSwitch.client_id == client.id,
            ClientSwitch.organization_id == organization_id,
            ClientSwitch.enabled == on,
            is_open(ClientSwitch),
        )

    return or_(
        client.owner == organization_id,
        and_(client.owner == OPERATOR, or_(switched(1), and_(client.enabled_for_all == 1, ~switched(0)))),
    )
