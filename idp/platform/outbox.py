"""The outbox: letters that leave by mail once the change that they tell of is committed, however long that takes.

A letter is a job and its sealed content: what it says of a person, and a link that is worth an account, are read by
nobody who reads the database. It is gone as soon as it has been sent.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from sqlalchemy import delete
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, database, identifiers, jobs, letters, vault
from idp.platform.database import Model
from idp.platform.errors import NotFound

KIND = "mail"
"""The kind of job that sends a letter; its payload is `{"letter": id}`."""


@dataclass(frozen=True)
class Letter:
    """What is to be said to whom.

    `template`: the name of its words under `templates/mail`; `to`: an address as it is stored with us, never as
    somebody just typed it (RST-02); `language`: one of `i18n.LOCALES`; `facts`: what the words speak of, some of it as
    people wrote it (`templates/mail/facts.toml` lists them); `path`: the one thing to press, a path of our own origin,
    or empty; `code`: to be typed instead; `expires_at`: when path or code stop working, after which the letter is not
    sent any more; `not_me`: a path for whoever did not do what the letter tells of; `zone`: the time zone in which
    the reader's clock goes, empty for UTC.
    """

    template: str
    to: str
    language: str
    facts: Mapping[str, str | int] = field(default_factory=dict)
    path: str = ""
    code: str = ""
    expires_at: int | None = None
    not_me: str = ""
    zone: str = ""


class StoredLetter(Model):
    """A letter that has not been sent. `content` is the JSON of a `Letter`, sealed."""

    __tablename__ = "letters"

    id: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[bytes] = vault.column()
    sealed_by: Mapped[str]
    created_at: Mapped[int] = mapped_column(default=clock.now)


def post(letter: Letter, *, due_at: int | None = None) -> str:
    """Have the letter sent once this transaction is committed; its id. Call it inside `database.writing()`.

    Raises `letters.BadLetter` when its words cannot be made of it.
    """
    letters.require(letter.template, letter.facts, vars(letter))
    id = identifiers.letter()
    content = vault.seal(json.dumps(asdict(letter)).encode(), table="letters", column="content", row=id)
    database.session().add(StoredLetter(id=id, content=content, sealed_by=vault.sealed_by(content)))
    database.session().flush()
    jobs.add(KIND, {"letter": id}, due_at=due_at)
    return id


@dataclass(frozen=True)
class Posted:
    """A letter that has not been sent, and when it was posted."""

    letter: Letter
    at: int


def posted(id: str) -> Posted:
    """The letter, while it has not been sent. Raises `NotFound`."""
    row = database.session().get(StoredLetter, id, populate_existing=True)
    if row is None:
        raise NotFound("There is no such letter, or it has been sent.")
    content = vault.open(row.content, table="letters", column="content", row=id)
    return Posted(Letter(**json.loads(content)), row.created_at)


def find(id: str) -> Letter:
    """The letter, while it has not been sent. Raises `NotFound`."""
    return posted(id).letter


def sent(id: str) -> None:
    """Forget the letter: it has been sent. Call it inside `database.writing()`, with the job that says so."""
    database.session().execute(delete(StoredLetter).where(StoredLetter.id == id))


KEPT = 7 * clock.DAY
"""How long a letter that cannot be sent is kept: parked, or waiting for a way out that nobody has set up."""


def clean_up(limit: int = 200) -> int:
    """Delete up to `limit` letters that should have left `KEPT` ago, and their jobs; how many.

    Call it inside `database.writing()`.
    """
    overdue = jobs.overdue(KIND, clock.now() - KEPT, limit)
    letters_ = [str(payload["letter"]) for payload in overdue.values()]
    database.session().execute(delete(StoredLetter).where(StoredLetter.id.in_(letters_)))
    jobs.give_up(list(overdue))
    return len(overdue)
