"""Authorizations: decisions to let a client act for a person, and whether one still stands.

Little is told to an authorization: whether its person, client, session and membership still stand is asked where it is
used. What ends it for good by itself: withdrawal, reuse of what was spent, and the disabling of its person.
"""

import json
from dataclasses import asdict, dataclass

from sqlalchemy import BigInteger, ColumnElement, Executable, and_, bindparam, case, insert, or_, select, update

from idp.audit import trail
from idp.audit.trail import SYSTEM, Actor
from idp.clients.models import Client
from idp.credentials import factors
from idp.feed import losses
from idp.feed.positions import head_of_feed
from idp.oauth.models import Authorization
from idp.organizations.conditions import client_in_force, organization_active, user_enabled
from idp.organizations.models import Membership, MembershipStatus
from idp.platform import clock, database, identifiers
from idp.platform.prepared import Prepared
from idp.platform.settings import settings
from idp.sessions import people
from idp.sessions.models import BrowserSession
from idp.sessions.proofs import DEVICE, Proof
from idp.users.models import User


@dataclass(frozen=True)
class Decision:
    """What was decided, for `begin`. `scope`, `resources`: granted ones. The other fields: see `models.Authorization`.

    `lifetime`: microseconds until the authorization ends, however often it is refreshed.
    """

    client_id: str
    user_id: str
    session_id: str
    subject: str
    scope: tuple[str, ...]
    resources: tuple[str, ...]
    organization_id: str | None
    account_id: str | None
    claims_json: str
    auth_time: int
    acr: str
    amr: tuple[str, ...]
    proofs: tuple[Proof, ...]
    offline: bool
    lifetime: int


@dataclass(frozen=True)
class LiveAuthorization:
    """An authorization that stands. `ends_at`: when it ends by itself, with its session unless it is offline.
    `session_pause`: the longest (microseconds) that its session was unused since its person last proved anything there.

    `head`: the feed position when that was so. A token that is issued because of it carries no later one (`azv`), so
    that whatever ends the authorization afterwards hits that token, too.
    """

    id: str
    client_id: str
    user_id: str
    session_id: str
    subject: str
    scope: tuple[str, ...]
    resources: tuple[str, ...]
    organization_id: str | None
    account_id: str | None
    claims_json: str
    auth_time: int
    acr: str
    amr: tuple[str, ...]
    proofs: tuple[Proof, ...]
    offline: bool
    created_at: int
    expires_at: int
    ends_at: int
    session_pause: int
    head: int


def begin(decision: Decision) -> str:
    """Write a decision down; the id of the authorization. Inside `database.writing()`."""
    id, now = identifiers.authorization(), clock.now()
    _INSERT.run(
        id=id,
        client_id=decision.client_id,
        user_id=decision.user_id,
        session_id=decision.session_id,
        subject=decision.subject,
        scope=" ".join(decision.scope),
        resources=" ".join(decision.resources),
        organization_id=decision.organization_id,
        account_id=decision.account_id,
        standing_id=_standing(decision.user_id, decision.organization_id),
        claims_json=decision.claims_json,
        auth_time=decision.auth_time,
        acr=decision.acr,
        amr=" ".join(decision.amr),
        proofs_json=json.dumps([asdict(proof) for proof in decision.proofs]),
        offline=int(decision.offline),
        created_at=now,
        expires_at=now + decision.lifetime,
        ended_at=None,
        ended_because="",
    )
    _record_given(id, decision)
    return id


def _record_given(id: str, decision: Decision) -> None:
    given = {"scope": " ".join(decision.scope), "resources": " ".join(decision.resources)}
    trail.record(
        "authorization.given",
        by=Actor("user", decision.user_id),
        subject=id,
        organization=decision.organization_id,
        account=decision.account_id,
        after={"client": decision.client_id, **given, "session": decision.session_id},
    )


def find_live(authorization_id: str) -> LiveAuthorization | None:
    """The authorization, if it stands: not ended, not expired, its person and client enabled, the session (unless it
    is offline) usable, what it was proven with not removed, and, if it is for an organization, the membership
    uninterrupted since. One statement, and another one for passkeys and authenticator apps.
    """
    now, lifetimes = clock.now(), settings().lifetimes
    row = _LIVE.one(
        id=authorization_id,
        at=clock.FOREVER,
        clock=now,
        idle=lifetimes.session_idle,
        longest=lifetimes.session_max,
    )
    found = None if row is None else row.value()
    return found if found is not None and _was_proven_with_what_is_there(found) else None


def end(authorization_id: str, *, because: str, by: Actor = SYSTEM) -> bool:
    """End the authorization with every code, refresh token and access token that hangs on it; whether it was this call.

    `because`: `revoked`, `reused`, `consent_withdrawn`, `disabled`, `password_changed`. Inside `database.writing()`;
    twice changes nothing.
    """
    return bool(_end(Authorization.id == authorization_id, because=because, by=by))


def end_all(*, because: str, by: Actor, user_id: str = "", client_id: str = "", organization_id: str = "") -> int:
    """End every authorization that agrees with what is given (all of them, if nothing is); how many. As `end`."""
    return _end(*_agreeing(user_id, client_id, organization_id), because=because, by=by)


def end_others(user_id: str, session_id: str, *, because: str, by: Actor) -> int:
    """End the authorizations of a person that were given in other sessions than this one; how many. As `end`."""
    return _end(Authorization.user_id == user_id, Authorization.session_id != session_id, because=because, by=by)


def end_unseen(*, user_id: str = "", client_id: str = "", organization_id: str = "") -> int:
    """End as `end_all` does, because they are `revoked`, however many they are: without an entry or a loss for each.

    Whoever calls this says once what happened, and supersedes the tokens.
    """
    wanted = _agreeing(user_id, client_id, organization_id)
    ending = update(Authorization).where(Authorization.ended_at.is_(None), *wanted)
    ended = database.session().execute(
        ending.values(ended_at=clock.now(), ended_because="revoked"), execution_options={"synchronize_session": False}
    )
    return int(ended.rowcount)  # type: ignore[attr-defined]


def end_with(user: User, by: Actor) -> None:
    """End the authorizations of a person who is being disabled: enabling brings none of them back (REF-09)."""
    end_all(because="disabled", by=by, user_id=user.id)


def end_everywhere(user_id: str, because: str, by: Actor) -> None:
    """A step of `login.everywhere`: whoever is signed out everywhere is so in applications that stay connected, too."""
    end_all(because=because, by=by, user_id=user_id)


def _agreeing(user_id: str, client_id: str, organization_id: str) -> list[ColumnElement[bool]]:
    """What is true of the authorizations that agree with whichever of these is given."""
    given = (
        (Authorization.user_id, user_id),
        (Authorization.client_id, client_id),
        (Authorization.organization_id, organization_id),
    )
    return [column == value for column, value in given if value]


def _end(*conditions: ColumnElement[bool], because: str, by: Actor) -> int:
    ending = (
        update(Authorization)
        .where(Authorization.ended_at.is_(None), *conditions)
        .values(ended_at=clock.now(), ended_because=because)
        .returning(
            Authorization.id,
            Authorization.client_id,
            Authorization.user_id,
            Authorization.subject,
            Authorization.organization_id,
        )
    )
    ended = database.session().execute(ending, execution_options={"synchronize_session": False}).all()
    for row in ended:
        losses.record("consent", sub=row.subject, client_id=row.client_id)
        trail.record(
            "authorization.ended",
            by=by,
            subject=row.id,
            organization=row.organization_id,
            after={"client": row.client_id, "person": row.user_id, "because": because},
        )
    return len(ended)


def _standing(user_id: str, organization_id: str | None) -> str | None:
    """The row by which the person is an active member there now."""
    if organization_id is None:
        return None
    active = (
        select(MembershipStatus.id)
        .join(Membership, Membership.id == MembershipStatus.member_id)
        .where(
            Membership.user_id == user_id,
            Membership.organization_id == organization_id,
            Membership.ended_at.is_(None),
            MembershipStatus.status == "active",
            MembershipStatus.ended_at.is_(None),
        )
    )
    return database.session().execute(active).scalar_one_or_none()


def _was_proven_with_what_is_there(found: LiveAuthorization) -> bool:
    """Whether no passkey or authenticator app that it rests on has been removed (REF-09). A trusted browser is only
    asked about where it counts.
    """
    return factors.are_there({proof.factor_id for proof in found.proofs if proof.factor_id and proof.method != DEVICE})


def _proofs(stored: str, auth_time: int) -> tuple[Proof, ...]:
    """As stored; an authorization from before proofs were kept was given with a password."""
    return tuple(Proof(**one) for one in json.loads(stored)) or (Proof("password", auth_time),)


# The statements


_INSERT: Prepared[object] = Prepared(insert(Authorization), object)


@dataclass(frozen=True)
class _Row:
    id: str
    client_id: str
    user_id: str
    session_id: str
    subject: str
    scope: str
    resources: str
    organization_id: str | None
    account_id: str | None
    claims_json: str
    auth_time: int
    acr: str
    amr: str
    proofs_json: str
    offline: int
    created_at: int
    expires_at: int
    session_ends_at: int
    session_pause: int
    head: int

    def value(self) -> LiveAuthorization:
        return LiveAuthorization(
            self.id,
            self.client_id,
            self.user_id,
            self.session_id,
            self.subject,
            tuple(self.scope.split()),
            tuple(self.resources.split()),
            self.organization_id,
            self.account_id,
            self.claims_json,
            self.auth_time,
            self.acr,
            tuple(self.amr.split()),
            _proofs(self.proofs_json, self.auth_time),
            bool(self.offline),
            self.created_at,
            self.expires_at,
            self.expires_at if self.offline else min(self.expires_at, self.session_ends_at),
            self.session_pause,
            self.head,
        )


def _live_statement() -> Executable:
    now = bindparam("clock", type_=BigInteger)
    idle, longest = bindparam("idle", type_=BigInteger), bindparam("longest", type_=BigInteger)
    idle_end = BrowserSession.last_seen_at + idle
    absolute_end = BrowserSession.created_at + longest
    session_usable = and_(BrowserSession.ended_at.is_(None), idle_end > now, absolute_end > now)
    stands = (
        select(MembershipStatus.id)
        .join(Membership, Membership.id == MembershipStatus.member_id)
        .where(
            MembershipStatus.id == Authorization.standing_id,
            MembershipStatus.ended_at.is_(None),
            Membership.ended_at.is_(None),
        )
        .exists()
    )
    return (
        select(
            Authorization.id,
            Authorization.client_id,
            Authorization.user_id,
            Authorization.session_id,
            Authorization.subject,
            Authorization.scope,
            Authorization.resources,
            Authorization.organization_id,
            Authorization.account_id,
            Authorization.claims_json,
            Authorization.auth_time,
            Authorization.acr,
            Authorization.amr,
            Authorization.proofs_json,
            Authorization.offline,
            Authorization.created_at,
            Authorization.expires_at,
            case((idle_end < absolute_end, idle_end), else_=absolute_end),
            people.pause_until(now),
            head_of_feed,
        )
        .join(BrowserSession, BrowserSession.id == Authorization.session_id)
        .join(Client, Client.id == Authorization.client_id)
        .where(
            Authorization.id == bindparam("id"),
            Authorization.ended_at.is_(None),
            Authorization.expires_at > now,
            or_(Authorization.offline == 1, session_usable),
            user_enabled(Authorization.user_id),
            client_in_force(Client),
            or_(
                Authorization.organization_id.is_(None),
                and_(stands, organization_active(Authorization.organization_id)),
            ),
        )
    )


_LIVE: Prepared[_Row] = Prepared(_live_statement(), _Row)
