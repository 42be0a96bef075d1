"""A node that changes things, to be killed: `python -m tests.flows.changes URL FIRST LAST`.

Prints `go` and what the database holds, as a fingerprint; then for every change `will`, its number and the
fingerprint, just before the commit, and `did` and the number once it is acknowledged. A sealer works beside.
"""

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.app import start
from idp.audit.seal import Sealer
from idp.organizations import (
    account_groups,
    accounts,
    grants,
    invitations,
    memberships,
    moves,
    ownership,
    roles,
    teams,
)
from idp.organizations.accounts import AccountSettings, NewAccount
from idp.organizations.invitations import Offered
from idp.organizations.memberships import NewMember
from idp.organizations.models import AccountMove
from idp.organizations.moves import CarriedOver
from idp.organizations.teams import TeamSettings
from idp.platform import database
from idp.platform.database import Model
from idp.users import users
from idp.users.users import UserSettings
from tests import databases
from tests.organizations.actors import ACME, BIRCH, DE, EU, NICK, NORTH, SHARED, at, role, to
from tests.traces import OPERATOR

_OTHERS = ("api", "audit_heads", "audit_seals", "audit_unsealed")
"""Tables that no change touches, and those in which the sealer works meanwhile."""


def fingerprint() -> str:
    """A digest of every row that the changes make (of the trail: its ids), as the current transaction sees them."""
    digest = hashlib.sha256()
    for table in Model.metadata.sorted_tables:
        if not table.name.startswith(_OTHERS):
            columns = table.primary_key if table.name == "audit_entries" else table.columns
            for row in sorted(map(repr, database.session().execute(select(*columns)))):
                digest.update(row.encode())
    return digest.hexdigest()


def changes(series: int) -> Iterator[Callable[[], object]]:
    """A series of changes, each a transaction: what it makes is named by the number of the series."""
    account, team, mine = f"acct_{series}", f"team_{series}", f"x_{series}"
    person, member = f"usr_p{series}", f"mem_p{series}"
    new = NewAccount(AccountSettings(f"a{series}", "An account", "DE"), livemode=True, id=account)

    def offer() -> str:
        return str(database.session().scalars(select(AccountMove.id).where(AccountMove.outcome.is_(None))).one())

    yield lambda: accounts.open_account(ACME, new, by=OPERATOR)
    yield lambda: account_groups.add(ACME, EU, [account], by=OPERATOR)
    yield lambda: grants.grant(to(NICK, "analyst", at(account)), by=OPERATOR)
    yield lambda: grants.grant(to(SHARED, "view_only", at(account)), by=OPERATOR)
    yield lambda: invitations.invite(ACME, f"p{series}@example.com", [Offered("analyst", at(account))], by=OPERATOR)
    yield lambda: users.create(UserSettings(), id=person, email=f"p{series}@example.com", verified=True, by=OPERATOR)
    yield lambda: memberships.add(ACME, NewMember(person, id=member), by=OPERATOR)
    yield lambda: teams.create(ACME, TeamSettings(f"t{series}", "A team"), id=team, by=OPERATOR)
    yield lambda: teams.add(ACME, team, [member, "mem_nick", "mem_vera"], by=OPERATOR)
    yield lambda: grants.grant(to(team, "tax_analyst", at(EU)), by=OPERATOR)
    yield lambda: roles.create(ACME, role(mine, "refunds.write", "tax.read"), by=OPERATOR)
    yield lambda: grants.grant(to(team, mine), by=OPERATOR)
    yield lambda: roles.change(ACME, mine, role(mine, "refunds.write"), by=OPERATOR)
    yield lambda: accounts.suspend(ACME, DE, by=OPERATOR)
    yield lambda: accounts.resume(ACME, DE, by=OPERATOR)
    yield lambda: ownership.transfer(ACME, member, by=OPERATOR)
    yield lambda: ownership.transfer(ACME, "mem_olivia", by=OPERATOR)
    yield lambda: moves.offer(ACME, account, BIRCH, by=OPERATOR)
    yield lambda: moves.accept(BIRCH, offer(), by=OPERATOR, carried=CarriedOver(shared(account), (NORTH,)))
    yield lambda: teams.delete(ACME, team, by=OPERATOR)
    yield lambda: roles.delete(ACME, mine, by=OPERATOR)
    yield lambda: memberships.remove(ACME, member, by=OPERATOR)
    yield lambda: accounts.close(BIRCH, account, by=OPERATOR)


def shared(account: str) -> tuple[str, ...]:
    """The grants to the operator's client on the account."""
    return tuple(one.id for one in grants.at_scope(ACME, at(account).placement_id) if one.client_id)


def numbered(first: int, last: int) -> Iterator[tuple[int, Callable[[], object]]]:
    """The changes from number `first` to before `last`."""
    number = series = 0
    while True:
        for change in changes(series):
            if number == last:
                return
            if number >= first:
                yield number, change
            number += 1
        series += 1


def main(url: str, first: int, last: int) -> None:
    app = databases.app_on(url)
    at_work = threading.get_ident()
    number = -1

    def announce(_: Session) -> None:
        if threading.get_ident() == at_work:  # and not the sealer
            print("will", number, fingerprint(), flush=True)

    with app.app_context():
        start()
        print("go", fingerprint(), flush=True)
        Sealer(app, every=0.02).start()
        database.before_commit(announce)
        for number, change in numbered(first, last):
            with database.writing():
                change()
            print("did", number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
