"""What a person is asked next for an authorization request: one pure function over how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from idp.oauth.errors import ConsentRequired, InteractionRequired, LoginRequired, OAuthError


class Need(StrEnum):
    """What is missing."""

    NOTHING = "nothing"
    SIGN_IN = "sign_in"
    PERSON = "person"
    PROOF = "proof"
    STRENGTH = "strength"
    CONTEXT = "context"
    ENTRY = "entry"
    CONSENT = "consent"


OF_THE_PERSON: Final = frozenset({Need.SIGN_IN, Need.PERSON, Need.PROOF, Need.STRENGTH})
"""What has to be settled before it is looked at where the person acts, and what they agree to."""


@dataclass(frozen=True)
class Standing:
    """How far a request has come. The defaults are what nothing is missing in.

    `prompt`: as sent. `is_signed_in`: somebody is who may be meant. `is_meant`: no hint speaks for somebody else;
    `has_said_who`: the person signed in, or was picked, for this very request. `is_recent`: the last proof is young
    enough; `has_proven`: it was given for this request. `is_strong`: the proofs reach the level that is aimed at;
    `can_be_stronger`: by signing in. `is_decided`: the context is, or there is but one; `has_chosen`: it was chosen for
    this request. `is_enough`: what was proven suffices for that context. `is_agreed`: nothing new is wanted;
    `has_agreed`: the person did for this request.
    """

    prompt: frozenset[str] = frozenset()
    is_signed_in: bool = True
    is_meant: bool = True
    has_said_who: bool = False
    is_recent: bool = True
    has_proven: bool = False
    is_strong: bool = True
    can_be_stronger: bool = False
    is_choice: bool = False
    is_decided: bool = True
    has_chosen: bool = False
    is_enough: bool = True
    is_agreed: bool = True
    has_agreed: bool = False


def next_need(standing: Standing) -> Need:
    """What the person is asked next: the whole policy of the authorization endpoint."""
    asked = standing.prompt
    if not standing.is_signed_in:
        return Need.SIGN_IN
    if not standing.has_said_who and ("select_account" in asked or not standing.is_meant):
        return Need.PERSON
    if not standing.has_proven and ("login" in asked or not standing.is_recent):
        return Need.PROOF
    if not standing.is_strong and ("none" in asked or (standing.can_be_stronger and not standing.has_said_who)):
        return Need.STRENGTH
    if not standing.has_chosen and (not standing.is_decided or ("select_context" in asked and standing.is_choice)):
        return Need.CONTEXT
    if not standing.is_enough:
        return Need.ENTRY
    if not standing.has_agreed and ("consent" in asked or not standing.is_agreed):
        return Need.CONSENT
    return Need.NOTHING


REFUSALS: Final[Mapping[Need, type[OAuthError]]] = {
    Need.SIGN_IN: LoginRequired,
    Need.PERSON: LoginRequired,
    Need.PROOF: LoginRequired,
    Need.STRENGTH: InteractionRequired,
    Need.CONTEXT: InteractionRequired,
    Need.ENTRY: InteractionRequired,
    Need.CONSENT: ConsentRequired,
}
"""What a client is told that forbids to ask (`prompt=none`, OpenID Connect Core §3.1.2.6)."""
