"""Contexts: the organizations and accounts that a person may choose to work in, and whether a choice is one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from idp.login.demands import Demand
from idp.organizations import choices, roles, scopes
from idp.organizations.choices import PAGE, AccountChoice, OrganizationChoice
from idp.organizations.effective import Context, Holder, effective_roles
from idp.organizations.models import Account, Organization
from idp.platform import database, identifiers
from idp.platform.errors import NotFound

AT_ONCE = 8
"""Organizations whose accounts are shown without being asked for."""

SEARCHED = 50
"""Organizations that a search looks into."""

FEW = 20
"""Accounts of each of several organizations."""


@dataclass(frozen=True)
class Offer:
    """An organization to choose from. `itself`: it can be chosen as a whole. `names`: of roles, by their keys.

    `is_open`: its `accounts` are shown; more of them follow behind the key `more_after`, if that is given.
    """

    organization: OrganizationChoice
    itself: bool
    is_open: bool
    accounts: tuple[AccountChoice, ...]
    more_after: str
    names: dict[str, str]

    @property
    def size(self) -> int:
        """How many contexts are shown."""
        return len(self.accounts) + self.itself


@dataclass(frozen=True)
class Question:
    """What of it all is shown: what contains `search`; or of `organization` (a slug) the accounts behind `after`."""

    search: str = ""
    organization: str = ""
    after: str = ""


def offers(user_id: str, demand: Demand, question: Question, *, most: int = PAGE) -> list[Offer]:
    """What the person may choose, by organization. A few statements an organization, however many accounts it has.

    `most`: accounts of one organization that are shown at a time.
    """
    mine = _organizations(user_id, demand)
    if question.organization:
        mine = [one for one in mine if one.slug == question.organization]
    if question.search:
        found = (_offer(user_id, one, demand, question, FEW) for one in mine[:SEARCHED])
        return [offer for offer in found if offer.size]
    if len(mine) > AT_ONCE:
        return [_closed(one, demand) for one in mine]
    size = most if len(mine) == 1 else min(most, FEW)
    shown = [_offer(user_id, one, demand, question, size) for one in mine]
    return [offer for offer in shown if offer.size or question.organization]


def only_one(user_id: str, demand: Demand) -> Context | None:
    """The one context that there is to choose, or `None` when there are several, or none."""
    two = list(islice(_contexts(user_id, demand), 2))
    return two[0] if len(two) == 1 else None


def chosen(user_id: str, demand: Demand, context_id: str) -> Context:
    """The context that the id (of an organization or account) means, in which the person holds a role now.

    Raises `NotFound`: for what is none, for what the demand does not ask for, and for what is not the person's.
    """
    is_organization, is_account = identifiers.is_one("org", context_id), identifiers.is_one("acct", context_id)
    if not (is_organization and _takes(demand, "organization")) and not (is_account and _takes(demand, "account")):
        raise NotFound
    context = scopes.named(context_id).context
    if not demand.is_within(context.organization_id):
        raise NotFound
    if not effective_roles(Holder(user_id), context).roles:
        raise NotFound
    return context


def called(context: Context) -> tuple[str, str]:
    """The names of the account (empty where the context is an organization as a whole) and of the organization."""
    account = database.session().get(Account, context.account_id) if context.account_id else None
    organization = database.session().get_one(Organization, context.organization_id)
    return account.name if account else "", organization.name


def _contexts(user_id: str, demand: Demand) -> Iterator[Context]:
    for one in _organizations(user_id, demand):
        if one.roles and _takes(demand, "organization"):
            yield Context(one.id)
        if _takes(demand, "account"):
            yield from (Context(one.id, account.id) for account in choices.accounts_in(user_id, one, limit=2))


def _organizations(user_id: str, demand: Demand) -> list[OrganizationChoice]:
    mine = choices.organizations_of(user_id)
    return [one for one in mine if demand.is_within(one.id)]


def _takes(demand: Demand, kind: str) -> bool:
    return demand.context in (kind, "any")


def _offer(user_id: str, one: OrganizationChoice, demand: Demand, question: Question, size: int) -> Offer:
    is_named = question.search.casefold() in one.name.casefold()
    found: list[AccountChoice] = []
    if _takes(demand, "account"):
        search = "" if is_named else question.search
        found = choices.accounts_in(user_id, one, search=search, after=question.after, limit=size + 1)
    return Offer(
        one,
        itself=is_named and not question.after and _is_possible(one, demand),
        is_open=True,
        accounts=tuple(found[:size]),
        more_after=found[size - 1].key if len(found) > size else "",
        names=_names(one.id),
    )


def _closed(one: OrganizationChoice, demand: Demand) -> Offer:
    return Offer(one, _is_possible(one, demand), False, (), "", _names(one.id) if one.roles else {})


def _is_possible(one: OrganizationChoice, demand: Demand) -> bool:
    return bool(one.roles) and _takes(demand, "organization")


def _names(organization_id: str) -> dict[str, str]:
    return {role.key: role.name for role in roles.visible_in(organization_id)}
