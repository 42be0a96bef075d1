"""What people are told of: which entry of the trail becomes which letter, to whom.

`NOTICES` is the list. A change that a letter with a link tells of already is not in it: that letter was posted with the
change (addresses that people change themselves, invitations).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from idp.audit import following
from idp.audit.search import Found
from idp.notices import gained, readers
from idp.notices.readers import Reader
from idp.organizations.models import Organization
from idp.platform import clock, database

SECURITY = "/me/security"
"""Where people see and change by what they sign in."""

ADDRESSES = "/me/addresses"
"""Where they see and change where letters go."""

Facts = Mapping[str, str | int]


def _always(_: Found) -> bool:
    return True


def _nothing(_: Found) -> Facts:
    return {}


@dataclass(frozen=True)
class Notice:
    """`applies` to some entries of that event; then each of `readers` gets the letter with `facts`, leading to `path`.

    `with_link`: also one for whoever did not do it. `not_with`: events that tell of it already when they happen to the
    same person or organization in the same request. `seldom`: microseconds in which nobody is told twice.
    """

    event: str
    template: str
    readers: Callable[[Found], Iterator[Reader]] = readers.the_person
    applies: Callable[[Found], bool] = _always
    facts: Callable[[Found], Facts] = _nothing
    path: str = SECURITY
    with_link: bool = True
    not_with: tuple[str, ...] = ("user.created",)
    seldom: int = 0


# What applies when


def is_by_the_person(entry: Found) -> bool:
    """Whether whom the entry is about did it."""
    return entry.actor.kind == "user" and entry.actor.id == readers.person_of(entry)


def _is_by_another(entry: Found) -> bool:
    return not is_by_the_person(entry)


def _in_a_new_browser(entry: Found) -> bool:
    return bool(_after(entry).get("new_browser"))


def _is_somebody(entry: Found) -> bool:
    return bool(readers.person_of(entry))


def _raises(entry: Found) -> bool:
    return bool(gained.roles(entry))


# What is said


def _kind(entry: Found) -> Facts:
    said = _after(entry) or _before(entry)
    return {"kind": str(said.get("kind", ""))}


def _left(entry: Found) -> Facts:
    left = _after(entry).get("left")
    return {"left": left if isinstance(left, int) else 0}


def _address(entry: Found) -> Facts:
    return {"address": entry.email}


def _reset(entry: Found) -> Facts:
    return {"reason": str(_after(entry).get("reason", ""))}


def _granted(entry: Found) -> Facts:
    return {"role": ", ".join(role.name for role in gained.roles(entry)), "organization": _organization(entry)}


def _super_admin(entry: Found) -> Facts:
    return {"person": gained.name(entry), "organization": _organization(entry)}


def _owner(entry: Found) -> Facts:
    how = "succeeded" if entry.event.endswith("succeeded") else "transferred"
    return {
        "person": readers.name_of(readers.owner_in(entry)),
        "organization": _organization(entry),
        "how": how,
    }


def _break_glass(entry: Found) -> Facts:
    by = entry.actor.id if entry.actor.kind == "user" else ""
    return {"person": readers.name_of(by) if by else "", "organization": _organization(entry), **_left(entry)}


def _operator(entry: Found) -> Facts:
    return {"person": readers.name_of(entry.subject)}


def _after(entry: Found) -> Mapping[str, object]:
    return entry.after if isinstance(entry.after, dict) else {}


def _before(entry: Found) -> Mapping[str, object]:
    return entry.before if isinstance(entry.before, dict) else {}


def _organization(entry: Found) -> str:
    found = database.session().get(Organization, entry.organization_id)
    return found.name if found else ""


def is_told_otherwise(notice: Notice, entry: Found) -> bool:
    """Whether something else that happened in the same request tells of it."""
    subjects = tuple(one for one in (readers.person_of(entry), entry.organization_id) if one)
    return following.happened_with(entry, notice.not_with, subjects)


_WITH_RESET = ("user.created", "user.factors.reset", "user.deleted")
_WITH_ORGANIZATION = ("user.created", "organization.created")

NOTICES: Final = (
    Notice("session.opened", "new_sign_in", applies=_in_a_new_browser),
    Notice("signin.held.back", "sign_in_held_back", applies=_is_somebody, with_link=False, seldom=clock.HOUR),
    Notice("user.password.set", "password_changed"),
    Notice("user.password.removed", "password_removed", not_with=("user.deleted",)),
    Notice("user.factor.added", "factor_added", facts=_kind),
    Notice("user.factor.removed", "factor_removed", facts=_kind, not_with=_WITH_RESET),
    Notice("user.factors.reset", "factor_reset_done", facts=_reset, path="/login", with_link=False),
    Notice("user.codes.made", "codes_made"),
    Notice("user.code.used", "code_used", facts=_left),
    Notice("user.passkey.went.back", "passkey_went_back"),
    Notice("user.address.added", "address_added", facts=_address, applies=_is_by_another, path=ADDRESSES),
    Notice("user.address.leaving", "address_leaving", readers.the_primary_address, facts=_address, path=ADDRESSES),
    Notice(
        "user.address.removed",
        "address_removed",
        readers.the_person_and_the_address,
        facts=_address,
        applies=_is_by_another,
        path=ADDRESSES,
        not_with=("user.deleted",),
    ),
    Notice(
        "user.address.primary",
        "address_primary",
        readers.the_person_and_the_address,
        facts=_address,
        applies=_is_by_another,
        path=ADDRESSES,
    ),
    *(
        Notice(event, template, told, applies, facts, with_link=False, not_with=_WITH_ORGANIZATION)
        for event in (gained.JOINED, "grant.made")
        for template, told, applies, facts in (
            ("role_granted", gained.people, _raises, _granted),
            ("super_admin_added", gained.other_super_admins, gained.makes_super_admins, _super_admin),
        )
    ),
    Notice(
        "organization.owner.changed",
        "owner_changed",
        readers.super_admins,
        facts=_owner,
        with_link=False,
        not_with=_WITH_ORGANIZATION,
    ),
    Notice("organization.owner.succeeded", "owner_changed", readers.super_admins, facts=_owner, with_link=False),
    Notice(
        "organization.break.glass.made",
        "break_glass_made",
        readers.super_admins,
        facts=_break_glass,
        path="/me",
        with_link=False,
    ),
    Notice(
        "organization.break.glass.used",
        "break_glass_used",
        readers.super_admins,
        facts=_break_glass,
        path="/me",
        with_link=False,
    ),
    Notice("operator.added", "operator_added", readers.all_operators, facts=_operator, with_link=False),
)
"""In the order of the vocabulary of the trail; an entry may become several letters."""
