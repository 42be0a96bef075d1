"""How far a sign-in has come: what `steps` decides by, gathered."""

from collections.abc import Collection
from dataclasses import replace

from idp.credentials import factors, held, mailed_links, passwords
from idp.credentials.held import Held
from idp.login import mailboxes, new_passwords, steps, transactions
from idp.login.steps import Standing, Step
from idp.login.transactions import SignIn
from idp.login.trust import trusted_by
from idp.platform import clock
from idp.sessions import levels, people, trusted_devices
from idp.sessions.models import Browser
from idp.sessions.proofs import LINK, Proof, last_given
from idp.users import lifecycle

RECENT = 5 * clock.MINUTE
"""How old a proof may be of somebody who changes what they prove themselves with (TOT-03, TOT-08)."""


_MAILED = "email_code"


def step_of(sign_in: SignIn, browser: Browser | None) -> Step:
    """What is asked next in this sign-in."""
    return steps.next_step(standing(sign_in, browser))


def standing(sign_in: SignIn, browser: Browser | None) -> Standing:
    """How far the sign-in has come. A session that ended meanwhile does not count: its person proves anew.

    What a person has is looked up only once they have proven something: before, all people are alike (LOG-01).
    """
    demand, counting = sign_in.demand, proofs(sign_in, browser)
    begun = Standing(
        is_named=sign_in.is_named,
        proven=frozenset(proof.method for proof in counting),
        aim=demand.acr,
        least=demand.least,
        methods=frozenset(demand.methods),
        spares=demand.spares,
        has_declined=sign_in.has_declined,
        is_offered=sign_in.offer == transactions.OPEN,
        wants_context=demand.wants_context(),
        has_context=sign_in.organization_id is not None,
    )
    if not begun.level or sign_in.user_id is None:
        return begun
    mine, may_mail = held.by(sign_in.user_id), mailboxes.may_be_used(sign_in.user_id)
    has = mine.methods if may_mail else mine.methods - {_MAILED}
    renewed = [proof for proof in counting if steps.renews(replace(begun, held=has), proof.method)]
    latest = last_given(renewed)
    trust = trusted_devices.trusted(browser, sign_in.user_id)
    return replace(
        begun,
        is_stale=latest < sign_in.created_at and not demand.is_recent(latest),
        held=has,
        out_of_reach=frozenset({_MAILED} if mine.mailboxes and _MAILED not in has else ()),
        is_trusted=bool(trust),
        spares=demand.spares and (not trust or trusted_by(trust) in demand.methods),
        may_enrol=shows_who(counting, levels.reached(has)),
        may_mail=may_mail and not mine.mailboxes,
        must_renew=_gave_password(sign_in) and new_passwords.must_renew(sign_in.user_id),
    )


def shows_who(proofs: Collection[Proof], level: str) -> bool:
    """Whether the proofs reach the level, which is the highest that the person can, by something proven recently.

    A password that is given anew makes nothing recent of a passkey that was used hours ago. A link that is good is.
    """
    recent = (proof for proof in proofs if proof.age() <= RECENT or proof.method == LINK)
    return reaches(proofs, level) and any(levels.makes(proof.method, level) for proof in recent)


def reaches(proofs: Collection[Proof], level: str) -> bool:
    """Whether the proofs reach the level, however old they are; also where no level is asked for."""
    return levels.rank(levels.reached({proof.method for proof in proofs})) >= levels.rank(level)


def _still_leads(link: Proof, has: Held) -> bool:
    """Whether the link is still good, and all that its person has."""
    is_all = not has.has_password and not has.passkeys
    return is_all and mailed_links.is_usable(link.vouched_by, "enrol")


def _gave_password(sign_in: SignIn) -> bool:
    return any(proof.method == "password" for proof in given(sign_in))


def proofs(sign_in: SignIn, browser: Browser | None) -> tuple[Proof, ...]:
    """What was proven in this sign-in, and in the session that it goes on from as far as that counts."""
    mine = [
        one for one in people.in_browser(browser) if one.id == sign_in.session_id and one.user_id == sign_in.user_id
    ]
    before = mine[0].proofs if mine else ()
    since = sign_in.created_at if sign_in.demand.fresh else 0
    return (*(proof for proof in before if proof.at >= since), *given(sign_in))


def given(sign_in: SignIn) -> tuple[Proof, ...]:
    """What was proven in this sign-in and holds still: not with a password that was changed since, nor with a passkey
    or authenticator app that was removed, nor before the person was disabled and enabled again (SES-07); nor with a
    code by mail beside a password that has come by mail since.
    """
    if not sign_in.proofs or sign_in.user_id is None:
        return ()
    there = {"", *(one.id for one in factors.of(sign_in.user_id))}
    is_same = sign_in.password != "" and sign_in.password == passwords.which(sign_in.user_id)
    since = lifecycle.enabled_since(sign_in.user_id)
    mine = held.by(sign_in.user_id)
    return tuple(
        proof
        for proof in sign_in.proofs
        if proof.at >= since
        and proof.factor_id in there
        and (is_same or proof.method != "password")
        and not (mine.by_mail and proof.method == _MAILED)
        and (proof.method != LINK or _still_leads(proof, mine))
    )
