"""Losses: what a transaction takes away, written to the change feed as its very last act.

Positions appear in commit order, so that a reader of `position > head` misses none. On PostgreSQL every writer of the
feed takes one lock as its last act but the insertion and the commit, and a look at the other names of whom it is about;
the insertion is a statement of its own, because its snapshot must be younger than the lock. (A sequence would not do:
its numbers commit in any order.)
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from idp.platform import clock, database

KINDS = frozenset(
    [
        "grant",
        "membership",
        "session",
        "consent",
        "token",
        "role",
        "account",
        "organization",
        "client",
        "api",
        "operator",
        "key",
        "epoch",
    ]
)
KEYS = frozenset(["sub", "org_id", "account_id", "role", "client_id", "sid", "jti", "aud", "act", "kid"])

MOST = 100
"""Losses that one transaction may write, each under all names of its person; of more, those of one organization become
one that hits all of it.
"""

_COLLECTED = "canopy_losses"
_LOCK = 7_214_902
"""The PostgreSQL advisory lock that the one transaction holds that is just writing to the feed."""

_PAUSE = 3_000
"""Milliseconds for which a node that holds it may say nothing. It was paused, or is gone: its transaction is undone."""


@dataclass(frozen=True)
class Loss:
    """An entry of the feed to be. `match`: the pairs of a partial token, sorted by key; none: every token."""

    kind: str
    match: tuple[tuple[str, str], ...]

    def organization(self) -> str | None:
        """The organization whose tokens alone it can hit, if it names one."""
        return dict(self.match).get("org_id")

    def is_foldable(self) -> bool:
        """Whether a wider entry may stand for it. Not a withdrawn key: what it signed is refused whatever its age."""
        return self.kind != "key"

    def selector(self) -> str:
        """`match` as the JSON object that stands in the feed."""
        return json.dumps(dict(self.match), separators=(",", ":"))


EPOCH = Loss("epoch", ())
"""Hits every token that was issued before."""

AlsoKnown = Callable[[Sequence[str]], Iterable[tuple[str, str]]]
"""Told subjects, says which of them tokens call by another `sub` as well, once for each (pairwise subjects)."""

_also_known: list[AlsoKnown] = []


def also_known(by: AlsoKnown) -> AlsoKnown:
    """Register who knows other names of subjects: a loss with a `sub` becomes one entry more for each of them.

    Not one with a `client_id` as well: it calls the person what that client does.
    """
    if by not in _also_known:
        _also_known.append(by)
    return by


def record(kind: str, **match: str) -> None:
    """Say that tokens which agree with `match` in every key and are older than this transaction are superseded.

    `kind` is one of `KINDS`; `match` a partial token: texts under names of `KEYS`, none only for an `epoch`, and
    `kid` alone for a `key`. Call it inside `database.writing()`; leaving that writes what was collected and commits.
    """
    if not database.is_writing():
        raise RuntimeError(f"a loss ({kind}) recorded outside of database.writing()")
    if kind not in KINDS or not match.keys() <= KEYS or not all(match.values()):
        raise ValueError(f"{kind} {sorted(match)} is not an entry of the change feed")
    if (kind == "epoch") != (not match) or (kind == "key") != ("kid" in match) or ("kid" in match and len(match) > 1):
        raise ValueError(f"an entry of kind {kind} cannot match by {sorted(match)}")
    collected: dict[Loss, None] = database.session().info.setdefault(_COLLECTED, {})
    collected[Loss(kind, tuple(sorted(match.items())))] = None


def hold_back() -> None:
    """Until this transaction ends, no loss is written: for whoever makes a name that those who write losses must know.

    On SQLite there is one writer anyway.
    """
    if not database.is_sqlite():
        database.session().execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": _LOCK})


def bounded(losses: Sequence[Loss], most: int = MOST) -> list[Loss]:
    """`losses`, or fewer that hit at least the same tokens: at most `most` (withdrawn keys apart).

    First what names an organization becomes one entry for all of it; if that is still too much, a new epoch.
    """
    if len(losses) <= most:
        return list(losses)
    wider = list(dict.fromkeys(_widened(loss) for loss in losses))
    if len(wider) <= most:
        return wider
    return [EPOCH, *(loss for loss in wider if not loss.is_foldable())]


def _widened(loss: Loss) -> Loss:
    organization = loss.organization()
    return Loss("organization", (("org_id", organization),)) if organization else loss


@database.before_commit
def _write_down(session: Session) -> None:
    """Write what this transaction collected: nothing may be locked, and nothing else done, between here and commit."""
    collected: dict[Loss, None] | None = session.info.pop(_COLLECTED, None)
    if not collected:
        return
    if not database.is_sqlite():
        session.execute(_TAKE_THE_PEN, {"lock": _LOCK, "most": f"{_PAUSE}ms"})
    found = bounded(list(collected))
    losses = list(dict.fromkeys((*found, *_by_other_names(found))))
    if database.is_sqlite():
        now = clock.now()
        session.execute(_INSERT_SQLITE, [{"kind": one.kind, "selector": one.selector(), "now": now} for one in losses])
        return
    session.execute(
        _INSERT_POSTGRESQL,
        {"kinds": [loss.kind for loss in losses], "selectors": [loss.selector() for loss in losses]},
    )


def _by_other_names(losses: Iterable[Loss]) -> list[Loss]:
    """The losses that name a subject, again for every other name of it. Asked under the lock: see `hold_back`.

    Those that name a client, too, say already what that client calls the person.
    """
    matches = [
        (loss.kind, match) for loss in losses if "sub" in (match := dict(loss.match)) and "client_id" not in match
    ]
    named = sorted({match["sub"] for _, match in matches})
    other_names = [pair for step in _also_known for pair in step(named)] if named else []
    return [
        Loss(kind, tuple(sorted({**match, "sub": other}.items())))
        for kind, match in matches
        for subject, other in other_names
        if match["sub"] == subject
    ]


_TAKE_THE_PEN = text("""
    SELECT set_config('idle_in_transaction_session_timeout', :most, true), pg_advisory_xact_lock(:lock)
""")

_INSERT_SQLITE = text("""
    INSERT INTO change_feed (position, kind, selector, written_at)
    SELECT max(coalesce((SELECT max(position) FROM change_feed), 0) + 1, :now), :kind, :selector, :now
""")

_INSERT_POSTGRESQL = text("""
    WITH clock AS MATERIALIZED (
        SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now
    ), place AS MATERIALIZED (
        SELECT now, greatest((SELECT max(position) FROM change_feed) + 1, now) AS first FROM clock
    )
    INSERT INTO change_feed (position, kind, selector, written_at)
    SELECT first + number - 1, kind, selector, now
    FROM place,
         unnest(CAST(:kinds AS text[]), CAST(:selectors AS text[])) WITH ORDINALITY AS loss(kind, selector, number)
""")
