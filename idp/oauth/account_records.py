"""Account records: what a service has to know of an account that a request names beside an organization's token.

The service keeps a record until the change feed names the account: it is suspended, moved, or has left a group.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, case, select

from idp.organizations.conditions import account_active
from idp.organizations.models import Placement
from idp.platform import clock
from idp.platform.errors import NotFound
from idp.platform.prepared import Prepared
from idp.platform.strict_json import Json


@dataclass(frozen=True)
class AccountRecord:
    """Where an account is now. `livemode`: 1 or 0. `status`: `active` or `suspended`, by itself."""

    account_id: str
    organization_id: str
    livemode: int
    status: str

    def told(self) -> dict[str, Json]:
        """The record under the names that tokens use."""
        return {
            "account_id": self.account_id,
            "org_id": self.organization_id,
            "livemode": bool(self.livemode),
            "status": self.status,
        }


def find(account_id: str) -> AccountRecord:
    """The record of the account with that id. Raises `NotFound` where there is none, or none any more."""
    record = _RECORD.one(account_id=account_id, at=clock.FOREVER)
    if record is None:
        raise NotFound("there is no such account")
    return record


_RECORD: Prepared[AccountRecord] = Prepared(
    select(
        Placement.account_id,
        Placement.organization_id,
        Placement.livemode,
        case((account_active(Placement.account_id), "active"), else_="suspended"),
    ).where(Placement.account_id == bindparam("account_id"), Placement.ended_at.is_(None)),
    AccountRecord,
)
