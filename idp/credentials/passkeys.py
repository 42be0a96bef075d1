"""Passkeys: keys that verify their owner and answer only our own pages, so that nothing can be phished.

A person may have several; some stay in one device, others are synced to all of the person's (`Passkey.is_synced`).
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import cast

from sqlalchemy import CursorResult, select, update
from webauthn import generate_authentication_options, generate_registration_options
from webauthn.helpers import options_to_json_dict
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from idp.audit import trail
from idp.audit.trail import SYSTEM, Actor
from idp.credentials import authenticators, ceremonies, factors
from idp.credentials.authenticators import NotAccepted
from idp.credentials.models import Ceremony, Factor, Passkey
from idp.platform import clock, database
from idp.platform.pages import PRODUCT
from idp.platform.strict_json import Json
from idp.users import users
from idp.users.locks import lock
from idp.users.models import User

HARDWARE, SOFTWARE = "hwk", "swk"
"""Where a key is held, as `amr` says it (RFC 8176 §2): in one device for good, or wherever it was synced to."""


@dataclass(frozen=True)
class Verified:
    """Who proved themselves, by which passkey, and where its key is held: `HARDWARE` or `SOFTWARE`."""

    user_id: str
    factor_id: str
    held_in: str


def of(user_id: str) -> list[tuple[Factor, Passkey]]:
    """The passkeys of a person, in the order in which they were set up."""
    live = (
        select(Factor, Passkey)
        .join(Passkey, Passkey.factor_id == Factor.id)
        .where(Factor.user_id == user_id, Factor.ended_at.is_(None))
    )
    return [(row[0], row[1]) for row in database.session().execute(live.order_by(Factor.created_at, Factor.id))]


def handle(user_id: str) -> bytes:
    """What authenticators know a person by (§5.4.3, user handle): always the same 32 bytes, telling nothing."""
    return hashlib.sha256(f"passkeys of {user_id}".encode()).digest()


def accepted(user: User) -> dict[str, Json]:
    """What keepers of passkeys may know to keep them in order (§5.1.10): which count, what their person is called.

    They are told so by scripts, where the browser can.
    """
    return {
        "rpId": authenticators.relying_party(),
        "userId": authenticators.encoded(handle(user.id)),
        "allAcceptedCredentialIds": [passkey.credential_id for _, passkey in of(user.id)],
        "name": user.username,
        "displayName": users.display_name(user),
    }


# Each of these is called inside `database.writing()`


def creation_options(user: User, bound_to: str) -> dict[str, Json]:
    """What the browser is asked for to set a passkey up (§5.4): found without a name, and verifying its owner.

    `bound_to`: as of `Ceremony`.
    """
    options = generate_registration_options(
        rp_id=authenticators.relying_party(),
        rp_name=PRODUCT,
        user_id=handle(user.id),
        user_name=user.username,
        user_display_name=users.display_name(user),
        challenge=ceremonies.begin(ceremonies.REGISTER, bound_to, user.id),
        timeout=_TIMEOUT,
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_descriptors(user.id),
        supported_pub_key_algs=list(authenticators.ALGORITHMS),
    )
    return cast("dict[str, Json]", options_to_json_dict(options))


def register(user_id: str, bound_to: str, response: str, name: str, *, by: Actor) -> Factor:
    """Set up the passkey that the browser offers in `response` (JSON), called `name`.

    Raises `NotAccepted`, and then has stored nothing but that the challenge is used up. A passkey that is known
    already, whosever it is, stays what it is (WAN-06).
    """
    answer = authenticators.read(response, "create")
    if _claim(answer.challenge, ceremonies.REGISTER, bound_to).user_id != user_id:
        raise NotAccepted
    new = authenticators.new_passkey(answer)
    with database.or_refuse(NotAccepted()):
        factor = factors.add(user_id, "passkey", name, by=by)
        passkey = Passkey(
            factor_id=factor.id,
            credential_id=answer.credential_id,
            public_key=authenticators.encoded(new.credential_public_key),
            sign_count=new.sign_count,
            is_synced=int(authenticators.is_synced(new)),
            is_backed_up=int(new.credential_backed_up),
            transports=" ".join(answer.transports),
            aaguid=new.aaguid,
        )
        database.session().add(passkey)
        database.session().flush()
    return factor


def held_in(factor_id: str) -> str:
    """Where the key of that passkey is held: `HARDWARE` or `SOFTWARE`."""
    return _held_in(database.session().get_one(Passkey, factor_id))


def request_options(purpose: str, bound_to: str, user_id: str | None) -> dict[str, Json]:
    """What the browser is asked for to prove something by a passkey (§5.5).

    `user_id`: whose passkeys, of somebody who has proven something before; `None` where nobody has: then nothing in
    the options tells whether anybody has a passkey (LOG-02).
    """
    options = generate_authentication_options(
        rp_id=authenticators.relying_party(),
        challenge=ceremonies.begin(purpose, bound_to, user_id),
        timeout=_TIMEOUT,
        allow_credentials=_descriptors(user_id) if user_id else None,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return cast("dict[str, Json]", options_to_json_dict(options))


def verify(purpose: str, bound_to: str, user_id: str | None, response: str) -> Verified:
    """Who proves themselves by `response` (JSON): whoever the passkey belongs to, and nobody but `user_id` unless that
    is `None`; nobody at all if it is nobody's.

    Raises `NotAccepted`, and then has changed nothing but that the challenge is used up, and that a counter which
    went back is written down (WAN-07).
    """
    answer = authenticators.read(response, "get")
    ceremony = _claim(answer.challenge, purpose, bound_to)
    factor, passkey = _known(answer.credential_id)
    if any(one not in (None, factor.user_id) for one in (user_id, ceremony.user_id)):
        raise NotAccepted
    _require_handle(answer.user_handle, factor.user_id, is_named=ceremony.user_id is not None)
    said = authenticators.assertion(answer, authenticators.decoded(passkey.public_key))
    if authenticators.is_synced(said) != bool(passkey.is_synced):
        raise NotAccepted
    if not _advance(passkey, said.new_sign_count, is_backed_up=said.credential_backed_up):
        _note_step_back(factor, passkey)
        raise NotAccepted
    factors.used(factor.id)
    return Verified(factor.user_id, factor.id, _held_in(passkey))


_TIMEOUT = ceremonies.LIFETIME // 1_000
"""Milliseconds that a browser gives people."""


def _held_in(passkey: Passkey) -> str:
    return SOFTWARE if passkey.is_synced else HARDWARE


def _descriptors(user_id: str) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=authenticators.decoded(passkey.credential_id),
            transports=[AuthenticatorTransport(one) for one in passkey.transports.split()],
        )
        for _, passkey in of(user_id)
    ]


def _claim(challenge: bytes, purpose: str, bound_to: str) -> Ceremony:
    """The ceremony that is answered, used up (WAN-01)."""
    ceremony = ceremonies.claim(challenge, purpose, bound_to)
    if ceremony is None:
        raise NotAccepted
    return ceremony


def _known(credential_id: str) -> tuple[Factor, Passkey]:
    """The passkey with that id, its person locked: it is not removed while it is looked at."""
    wanted = (
        select(Factor, Passkey)
        .join(Passkey, Passkey.factor_id == Factor.id)
        .where(Passkey.credential_id == credential_id, Factor.ended_at.is_(None))
    )
    found = database.session().execute(wanted).one_or_none()
    if found is None:
        raise NotAccepted(is_unknown=True)
    lock(found[0].user_id)
    still = database.session().execute(wanted, execution_options={"populate_existing": True}).one_or_none()
    if still is None:
        raise NotAccepted(is_unknown=True)
    return still[0], still[1]


def _require_handle(given: bytes | None, user_id: str, *, is_named: bool) -> None:
    """The authenticator says whose the passkey is (§7.2 step 6); where we named it, it may leave that out."""
    if given is None and is_named:
        return
    if given is None or not hmac.compare_digest(given, handle(user_id)):
        raise NotAccepted


def _advance(passkey: Passkey, count: int, *, is_backed_up: bool) -> bool:
    """Keep the counter, which has to grow unless there is none (§7.2 step 22); whether it did.

    Decided by the database: of two answers with one count one is too late.
    """
    grows = Passkey.sign_count < count if count else Passkey.sign_count == 0
    mine = update(Passkey).where(Passkey.factor_id == passkey.factor_id, grows)
    kept = database.session().execute(mine.values(sign_count=count, is_backed_up=int(is_backed_up)))
    return bool(cast("CursorResult[object]", kept).rowcount)


def _note_step_back(factor: Factor, passkey: Passkey) -> None:
    """The counter did not grow: there may be a copy of the key. The person sees it; the trail says so."""
    mine = update(Passkey).where(Passkey.factor_id == passkey.factor_id)
    database.session().execute(mine.values(went_back_at=clock.now()))
    trail.record("user.passkey.went.back", by=SYSTEM, subject=factor.user_id, after={"factor": factor.id})
