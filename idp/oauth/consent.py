"""Consent: what a person has agreed that a client may do, remembered per client and organization.

Asked for again when more is wanted, when the client has another owner, or when its answers go to another host. Of a
client that anybody can pretend to be (RFC 8252 §8.6) nothing is taken as agreed without asking.
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import bindparam, select

from idp.audit import trail
from idp.audit.trail import Actor
from idp.clients.registered import RegisteredClient
from idp.oauth import authorizations
from idp.oauth.models import Consent
from idp.oauth.scopes import OFFLINE
from idp.platform import database
from idp.platform.prepared import Prepared
from idp.users.locks import lock

OPTIONAL: Final = frozenset({"email", "address", "phone", OFFLINE})
"""Scopes that a person can leave out of what they agree to."""


@dataclass(frozen=True)
class Question:
    """What a client wants of a person. `organization_id`: where it would act, empty without a context.

    `scope`: with those behind claims that are asked for by name. `resources`: audiences of APIs, and, as
    `<audience>#<scope>` (an audience has no fragment), the scopes that are wanted of each: what was agreed to of one is
    not agreed to of another.
    """

    client: RegisteredClient
    user_id: str
    organization_id: str
    scope: tuple[str, ...]
    resources: tuple[str, ...]
    redirect_uri: str

    @property
    def redirect_host(self) -> str:
        """Where the answer goes, as people read it."""
        return host_of(self.redirect_uri)


def host_of(redirect_uri: str) -> str:
    """The host of an address, or the scheme of one of an application's own."""
    parts = urlsplit(redirect_uri)
    return parts.hostname or f"{parts.scheme}:"


@dataclass(frozen=True)
class Shown:
    """What the consent page showed, and to whom: all that can be agreed to on it. `optional` scopes can be left out."""

    user_id: str
    organization_id: str
    account_id: str
    scope: tuple[str, ...]
    optional: tuple[str, ...]
    resources: tuple[str, ...]

    def answers(self, question: Question) -> bool:
        """Whether this very question was shown."""
        return (self.user_id, self.organization_id, self.scope, self.resources) == (
            question.user_id,
            question.organization_id,
            question.scope,
            question.resources,
        )

    def dump(self) -> str:
        """The text under which this is stored."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, stored: str) -> "Shown":
        """What was stored as `stored`."""
        values: dict[str, Any] = json.loads(stored)
        texts: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}
        return cls(**texts)


def to_show(question: Question, account_id: str) -> Shown:
    """What the page shows of a question; `account_id`: where in the organization, if that is one account."""
    optional = tuple(scope for scope in question.scope if scope in OPTIONAL)
    return Shown(question.user_id, question.organization_id, account_id, question.scope, optional, question.resources)


@dataclass(frozen=True)
class Given:
    """What the person has said so far, if any: `scope` that was agreed to, `declined` that was not, for which APIs."""

    is_given: bool = False
    scope: frozenset[str] = frozenset()
    declined: frozenset[str] = frozenset()
    resources: frozenset[str] = frozenset()

    def covers(self, question: Question) -> bool:
        """Whether the person has said something about everything that is wanted, and agreed to something, if it is any
        scope that is wanted (RFC 6749 §3.3: there need be none).
        """
        told, is_agreed = self.scope | self.declined, bool(self.scope) or not question.scope
        everything = told >= set(question.scope) and self.resources >= set(question.resources)
        return self.is_given and is_agreed and everything


NOTHING = Given()


def is_agreed(question: Question, given: Given) -> bool:
    """Whether the person need not be asked: the operator vouches for the client, or they have agreed before (`given`).

    First-party clients do not ask, unless they are registered to ask always. Public clients ask each time if their
    answers go to an address that other programs on the device could listen at (DCR-06).
    """
    always = question.client.text("consent") == "always"
    if question.client.first_party:
        return not always
    return not always and _is_its_own(question) and given.covers(question)


def remembered(question: Question) -> Given:
    """What the person has agreed to there; nothing, if client or address are not what they were (CON-03)."""
    row = _LIVE.one(user_id=question.user_id, client_id=question.client.id, organization_id=question.organization_id)
    if row is None or (row.client_owner, row.redirect_host) != (question.client.owner, question.redirect_host):
        return NOTHING
    said = (frozenset(one.split()) for one in (row.scope, row.declined, row.resources))
    return Given(True, *said)


def granted(question: Question, given: Given, *, asked: bool) -> tuple[str, ...]:
    """Those of the scopes wanted that the client gets; `asked`: the person was asked just now, and `given` says what
    they answered.
    """
    if question.client.first_party and not asked:
        return question.scope
    return tuple(scope for scope in question.scope if scope in given.scope)


# Each of these is called inside `database.writing()`


def give(question: Question, declined: Collection[str] = ()) -> None:
    """The person agrees to what is wanted, less what they `declined`; what they agreed to before stays."""
    lock(question.user_id)
    before, agreed = remembered(question), set(question.scope) - set(declined)
    _end(question)
    scope = (before.scope | agreed) - set(declined)
    given = Consent(
        user_id=question.user_id,
        client_id=question.client.id,
        organization_id=question.organization_id,
        scope=_text(scope),
        declined=_text((before.declined | set(declined)) - scope),
        resources=_text(before.resources | set(question.resources)),
        client_owner=question.client.owner,
        redirect_host=question.redirect_host,
    )
    database.session().add(given)
    database.session().flush()
    trail.record(
        "consent.given",
        by=Actor("user", question.user_id),
        subject=given.id,
        organization=question.organization_id or None,
        after={"client": question.client.id, "scope": given.scope, "declined": given.declined,
               "resources": given.resources},
    )  # fmt: skip


def withdraw(user_id: str, client_id: str, *, by: Actor) -> bool:
    """Take back everything that the person has agreed that the client may do, wherever; whether there was anything.

    Every authorization ends with it, with all tokens that hang on it, also where nobody had to be asked (CON-04).
    """
    lock(user_id)
    wanted = select(Consent).where(
        Consent.user_id == user_id, Consent.client_id == client_id, Consent.ended_at.is_(None)
    )
    rows = list(database.session().scalars(wanted))
    for row in rows:
        row.end()
        trail.record(
            "consent.withdrawn",
            by=by,
            subject=row.id,
            organization=row.organization_id or None,
            before={"person": user_id, "client": client_id, "scope": row.scope},
        )
    ended = authorizations.end_all(because="consent_withdrawn", by=by, user_id=user_id, client_id=client_id)
    return bool(rows or ended)


def _is_its_own(question: Question) -> bool:
    """Whether nobody but the client receives the answer: it has a credential, or the web keeps the address for it."""
    return not question.client.is_public or question.redirect_uri.startswith("https://")


def _end(question: Question) -> None:
    """What was agreed to before makes room for what is agreed to now."""
    wanted = select(Consent).where(
        Consent.user_id == question.user_id,
        Consent.client_id == question.client.id,
        Consent.organization_id == question.organization_id,
        Consent.ended_at.is_(None),
    )
    row = database.session().scalars(wanted, execution_options={"populate_existing": True}).one_or_none()
    if row is not None:
        row.end()
        database.session().flush()


def _text(names: Collection[str]) -> str:
    return " ".join(sorted(names))


@dataclass(frozen=True)
class _Stored:
    scope: str
    declined: str
    resources: str
    client_owner: str
    redirect_host: str


_LIVE: Prepared[_Stored] = Prepared(
    select(Consent.scope, Consent.declined, Consent.resources, Consent.client_owner, Consent.redirect_host).where(
        Consent.user_id == bindparam("user_id"),
        Consent.client_id == bindparam("client_id"),
        Consent.organization_id == bindparam("organization_id"),
        Consent.ended_at.is_(None),
    ),
    _Stored,
)
