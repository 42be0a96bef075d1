"""Making the first operator: the link is used up, the person is made, and runs the installation from then on."""

from dataclasses import dataclass

from idp.audit.trail import Actor
from idp.credentials import passwords
from idp.platform import identifiers
from idp.users import first_run, names, operators, users
from idp.users.models import User
from idp.users.users import UserSettings


@dataclass(frozen=True)
class FirstOperator:
    """Who is to run the installation. `username` may be empty for the address; `hashed`: of `passwords.hash`."""

    username: str
    email: str
    hashed: str


def prepared(username: str, email: str, password: str) -> FirstOperator:
    """What a form says, the password hashed; outside of `database.writing()`. Raises `Invalid` and `TooBusy`."""
    names.parse_address(email)
    if username:
        names.parse_username(username, own_addresses={names.parse_address(email).key})
    hashed = passwords.hash(password, passwords.about(UserSettings(username), [email]))
    return FirstOperator(username, email, hashed)


def make(token: str, wanted: FirstOperator) -> User:
    """The first operator, by the link with `token`. Inside `database.writing()`.

    Raises `first_run.SetupClosed`, `UsernameTaken` and `AddressTaken`.
    """
    first_run.redeem(token)
    user_id = identifiers.user()
    by = Actor("user", user_id)
    person = users.create(UserSettings(wanted.username), by=by, id=user_id, email=wanted.email)
    passwords.store(person.id, wanted.hashed, by=by)
    operators.add(person, by=by)
    return person
