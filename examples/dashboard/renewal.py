"""Looking at what a token is good for, and getting a new one where it is not good any more."""

import time
from dataclasses import dataclass, replace
from typing import Final

from examples.dashboard import places
from examples.dashboard.calls import Api, Outcome, Tried
from examples.dashboard.places import Place
from examples.dashboard.provider import Provider, Refused
from examples.dashboard.visits import Visit

SPARE: Final = 10
"""A token that has no more seconds left is renewed before it is used."""


@dataclass(frozen=True)
class Look:
    """What came of a look: the visit as it is now, and the calls that were tried.

    `refusal`: what the API said to the token before that one, if it did not take it. `refused`: what the provider said
    instead of giving a new one.
    """

    visit: Visit
    tried: tuple[Tried, ...]
    refusal: Tried | None = None
    refused: Refused | None = None


def look(provider: Provider, payments: str, visit: Visit) -> Look:
    """Try all calls. A token that is not taken any more is renewed, once, and everything tried again.

    Programs wait 0 to 2 seconds at random before they renew, so that not all of them come at once; people do that by
    themselves.
    """
    if visit.tokens.ends_at - time.time() < SPARE:
        return _look_again(provider, payments, visit, None)
    tried = _try_all(payments, visit)
    refusal = next((one for one in tried if one.outcome is Outcome.TOKEN_REFUSED), None)
    return _look_again(provider, payments, visit, refusal) if refusal else Look(visit, tried)


def entered(provider: Provider, visit: Visit, place: Place) -> Visit:
    """The visit, gone to another place. Raises `Refused`."""
    account = {"account": place.account_id} if place.account_id else {}
    tokens = provider.refreshed(visit.tokens, organization=place.organization_id, **account)
    return replace(visit, tokens=tokens, places=provider.places(tokens) or visit.places, allowed=frozenset())


def _look_again(provider: Provider, payments: str, visit: Visit, refusal: Tried | None) -> Look:
    try:
        tokens = provider.refreshed(visit.tokens)
    except Refused as refused:
        return Look(visit, _try_all(payments, visit), refusal, refused)
    visit = replace(visit, tokens=tokens, places=provider.places(tokens) or visit.places)
    return Look(visit, _try_all(payments, visit), refusal)


def _try_all(payments: str, visit: Visit) -> tuple[Tried, ...]:
    """With a token for an organization, in the first of its live accounts."""
    here = places.current(visit.places, visit.tokens.claims)
    accounts = [one for one in visit.places if one.account_id and one.organization_id == here.organization_id]
    live = next((one.account_id for one in accounts if one.livemode), "")
    other = next((one.account_id for one in accounts if not _covers(here, one)), "")
    api = Api(payments, visit.tokens.access, "" if here.account_id else live, visit.number)
    return api.try_all(other)


def _covers(here: Place, account: Place) -> bool:
    """Whether a token for `here` is good for calls about `account`, an account of the same organization."""
    return account.id == here.id if here.account_id else account.livemode
