"""New passwords of people who choose them: what is known about them, and how short one may be (PWD-01)."""

from idp.credentials import held, passwords
from idp.credentials.passwords import About
from idp.organizations import choices, policies
from idp.sessions.levels import SECOND, WHOLE
from idp.users import addresses, users


def about(user_id: str) -> About:
    """What guessers of the person's password know, and whether it may be a short one."""
    owned = [one.address for one in addresses.of(user_id)]
    organizations = [name for one in choices.organizations_of(user_id) for name in (one.name, one.slug)]
    known = passwords.about(users.settings_of(users.find(user_id)), owned, organizations)
    return About(known.words, may_be_short(user_id))


def may_be_short(user_id: str) -> bool:
    """Whether the person has a second factor, and each organization that they are active in requires one.

    Whoever is in no organization is required nothing by anybody.
    """
    if held.methods(user_id).isdisjoint(SECOND | WHOLE):
        return False
    mine = choices.organizations_of(user_id)
    return bool(mine) and all(policies.of(one.id).mfa == "required" for one in mine)


def must_renew(user_id: str) -> bool:
    """Whether the person's password is a short one that may not be short any more."""
    return passwords.has_short(user_id) and not may_be_short(user_id)
