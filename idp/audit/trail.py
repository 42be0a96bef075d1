"""The trail: writing an entry in the transaction of what it records."""

import json
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from idp.audit.models import Entry, Unsealed
from idp.platform import correlation, database, identifiers


@dataclass(frozen=True)
class Actor:
    """Who acts. `kind`: `user`, `client`, `operator` (the command line), `system`, `connection` or `directory`.

    `id` is that of the object (`usr_…`); of the command line the name of the operating system's user.
    `on_behalf_of`: whom the actor impersonates, or whose wish an invitation carries out.
    """

    kind: str
    id: str
    on_behalf_of: str | None = None


SYSTEM = Actor("system", "canopy")
"""What happens by itself: expiry, succession, start."""


def record(
    event: str,
    *,
    by: Actor,
    subject: str,
    organization: str | None = None,
    account: str | None = None,
    before: Any = None,
    after: Any = None,
    source: str = "",
    email: str = "",
) -> None:
    """Write one entry; it is there if and only if the change that it records is (AUD-01)."""
    entry = Entry(
        id=identifiers.entry(),
        event=event,
        actor_kind=by.kind,
        actor_id=by.id,
        on_behalf_of=by.on_behalf_of,
        subject=subject,
        organization_id=organization,
        account_id=account,
        source=source,
        request_id=correlation.current().request_id,
        before_json=_json(before),
        after_json=_json(after),
    )
    database.session().add(entry)
    database.session().flush()
    database.session().add(Unsealed(entry_id=entry.id))


def _json(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(asdict(value) if is_dataclass(value) and not isinstance(value, type) else value, sort_keys=True)
