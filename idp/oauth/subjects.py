"""Subjects: what a client calls a person (`sub`; OpenID Connect Core §8).

Public: the person's id. Pairwise: a random name in the client's sector, so that clients of two sectors cannot tell
that they know the same person. Both are kept for good and never given to anybody else (JWT-11).
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, select, text

from idp.clients.registered import RegisteredClient
from idp.feed import losses
from idp.oauth.models import PairwiseSubject
from idp.platform import bearer, bulk, database
from idp.platform.prepared import Prepared

PREFIX: Final = "sub_"


def of(user_id: str, client: RegisteredClient) -> str:
    """What `client` calls the person. Inside `database.writing()`: the first time in a sector a name is made."""
    if not client.sector:
        return user_id
    return _FIND.one(sector=client.sector, user_id=user_id) or _make(client.sector, user_id)


def known(user_id: str, client: RegisteredClient) -> str | None:
    """What `client` calls the person; `None` while it has no name for them."""
    return _FIND.one(sector=client.sector, user_id=user_id) if client.sector else user_id


def person(subject: str, client: RegisteredClient) -> str | None:
    """The id of the person whom `client` calls `subject`; `None` where it calls nobody so."""
    if not client.sector:
        return subject
    return _REVERSE.one(sector=client.sector, subject=subject)


def whoever(subject: str) -> str:
    """The id of the person whom some client calls `subject`; `subject` itself where that is no pairwise name."""
    return (_ANYBODY.one(subject=subject) if subject.startswith(PREFIX) else None) or subject


def _make(sector: str, user_id: str) -> str:
    """While this is written no loss is: whoever takes something from the person has to know the name."""
    losses.hold_back()
    made = {"sector": sector, "user_id": user_id, "subject": bearer.mint(PREFIX)}
    database.session().execute(_INSERT, made)
    return _FIND.one(sector=sector, user_id=user_id) or ""


@losses.also_known
def _in_every_sector(subjects: Sequence[str]) -> list[tuple[str, str]]:
    """The feed matches what stands in tokens: one entry more a sector."""
    names = select(PairwiseSubject.user_id, PairwiseSubject.subject)
    return [
        (user_id, subject)
        for some in bulk.chunks(subjects)
        for user_id, subject in database.session().execute(names.where(PairwiseSubject.user_id.in_(some)))
    ]


_FIND: Prepared[str] = Prepared(
    select(PairwiseSubject.subject).where(
        PairwiseSubject.sector == bindparam("sector"), PairwiseSubject.user_id == bindparam("user_id")
    ),
    str,
)

_REVERSE: Prepared[str] = Prepared(
    select(PairwiseSubject.user_id).where(
        PairwiseSubject.subject == bindparam("subject"), PairwiseSubject.sector == bindparam("sector")
    ),
    str,
)

_ANYBODY: Prepared[str] = Prepared(
    select(PairwiseSubject.user_id).where(PairwiseSubject.subject == bindparam("subject")), str
)

_INSERT = text(
    "INSERT INTO pairwise_subjects (sector, user_id, subject) VALUES (:sector, :user_id, :subject)"
    " ON CONFLICT DO NOTHING"
)
