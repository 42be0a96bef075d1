"""Jobs: work to be done after the transaction that asked for it, kept in the database.

A job is done at least once. A worker holds it by a lease that no clock decides: the holder counts `beat` up while it
works, and only who has watched a beat stand still for `LEASE` seconds of its own monotonic clock may take the job over.
A worker that was paused meanwhile finds out when it says that it is done: `Claim.finish` refuses, and whatever the
job changed in that transaction has not happened.
"""

import contextlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Index, and_, case, delete, func, or_, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from idp.platform import clock, correlation, database, identifiers, metrics
from idp.platform.correlation import Origin
from idp.platform.database import Model
from idp.platform.errors import Conflict, NotFound
from idp.platform.rounds import Application, Rounds

LEASE = 30.0
"""Seconds that a holder may be silent before its job is taken over."""

EVERY = 0.5
"""Seconds between two looks for work."""

THREADS = 4
"""Jobs that one worker does at once: a slow mail server holds up a few, not all."""

MOST_ATTEMPTS = 18
"""Attempts after which a job is parked: with the pauses between them, about six hours, and never less than four."""

_FIRST_PAUSE = 5 * clock.SECOND
_LONGEST_PAUSE = clock.HOUR

KEPT = 7 * clock.DAY
"""How long a job that was done is remembered, without its payload."""

log = structlog.get_logger()

_OPEN = text("done_at IS NULL AND parked_at IS NULL")


class Job(Model):
    """One piece of work. `payload` is a JSON object, emptied when the work is done.

    `holder` names the claim that is working on it, `beat` counts claims and signs of life. A job that failed too
    often is parked: it waits for an operator.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_open", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_jobs_done_at", "done_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=identifiers.job)
    kind: Mapped[str]
    payload: Mapped[str]
    due_at: Mapped[int] = mapped_column(default=clock.now)
    attempts: Mapped[int] = mapped_column(default=0)
    holder: Mapped[str | None]
    beat: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[int | None]
    parked_at: Mapped[int | None]
    last_error: Mapped[str] = mapped_column(default="")


_STATE = case((Job.parked_at.is_not(None), "parked"), (Job.holder.is_not(None), "held"), else_="waiting")


class LeaseLost(Conflict):
    """Somebody else has taken the job over: what was just done for it must not be kept."""

    code = "lease_lost"
    title = "Another worker has taken over this job"


class Claim:
    """A job in hand: its `id`, `kind`, `payload` and the number of this `attempt`, from 1."""

    def __init__(self, id: str, kind: str, payload: str, attempts: int, holder: str) -> None:
        self.id = id
        self.kind = kind
        self.payload: Mapping[str, Any] = json.loads(payload)
        self.attempt = attempts
        self.is_finished = False
        self._holder = holder

    def finish(self) -> None:
        """Say that the job is done. Raises `LeaseLost`.

        A job that changes the database calls it inside the `writing()` of that change, so that both happen or none.
        """
        self._write(done_at=clock.now(), payload="{}")
        self.is_finished = True

    def renew(self) -> None:
        """Give a sign of life. Raises `LeaseLost`. Call it inside `database.writing()`."""
        self._write(beat=Job.beat + 1)

    def put_back(self, error: Exception) -> bool:
        """Have it tried again later; parked after too many attempts, or when it is `Hopeless`; whether it was parked.

        Raises `LeaseLost`.
        """
        is_parked = self.attempt >= MOST_ATTEMPTS or isinstance(error, Hopeless)
        now = clock.now()
        when = {"parked_at": now} if is_parked else {"due_at": now + pause_after(self.attempt)}
        self._write(holder=None, last_error=type(error).__name__, **when)
        return is_parked

    def _write(self, **values: Any) -> None:
        mine = update(Job).where(Job.id == self.id, Job.holder == self._holder, Job.done_at.is_(None))
        if not database.session().execute(mine.values(values)).rowcount:  # type: ignore[attr-defined]
            raise LeaseLost


Handler = Callable[[Claim], None]
"""Does the work of one kind of job: outside of any transaction, in an application context of its own."""


def add(kind: str, payload: Mapping[str, Any], *, due_at: int | None = None) -> str:
    """Have a job of `kind` done once this transaction is committed, not before `due_at`; its id.

    Call it inside `database.writing()`. `payload` is what JSON can say.
    """
    job = Job(kind=kind, payload=json.dumps(payload), due_at=clock.now() if due_at is None else due_at)
    database.session().add(job)
    database.session().flush()
    return job.id


def pause_after(attempt: int) -> int:
    """Microseconds to wait after the failure of `attempt`: doubling up to an hour, and between half and all of that."""
    longest = min(_FIRST_PAUSE << (attempt - 1), _LONGEST_PAUSE)
    return longest // 2 + secrets.randbelow(longest // 2)


def clean_up(limit: int = 500) -> int:
    """Delete up to `limit` jobs that were done long ago; how many it were. Call it inside `database.writing()`."""
    old = select(Job.id).where(Job.done_at < clock.now() - KEPT).order_by(Job.done_at).limit(limit)
    gone = database.session().execute(delete(Job).where(Job.id.in_(old)))
    return int(gone.rowcount)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Waiting:
    """A job that is not done. `state`: `waiting`, `held` or `parked`; instants in microseconds UTC."""

    id: str
    kind: str
    state: str
    due_at: int
    attempts: int
    last_error: str
    payload: Mapping[str, Any]


def undone() -> list[Waiting]:
    """Every job that is not done, parked ones first, then the one that is due for longest."""
    return _waiting()


def find(job_id: str) -> Waiting:
    """The job, while it is not done. Raises `NotFound`."""
    found = _waiting(Job.id == job_id)
    if not found:
        raise NotFound(f"There is no job {job_id} that is not done.")
    return found[0]


def _waiting(*conditions: ColumnElement[bool]) -> list[Waiting]:
    wanted = select(Job.payload, Job.id, Job.kind, _STATE, Job.due_at, Job.attempts, Job.last_error)
    ordered = wanted.where(Job.done_at.is_(None), *conditions).order_by(Job.parked_at.is_(None), Job.due_at)
    rows = database.session().execute(ordered)
    return [
        Waiting(id, kind, state, due, tries, error, json.loads(said))
        for said, id, kind, state, due, tries, error in rows
    ]


def again(job_id: str) -> None:
    """Have a parked job tried again now, as often as a new one; any other stays as it is. Raises `NotFound`.

    Call it inside `database.writing()`.
    """
    if database.session().get(Job, job_id) is None:
        raise NotFound(f"There is no job {job_id}.")
    fresh = {"parked_at": None, "attempts": 0, "due_at": clock.now()}
    parked = update(Job).where(Job.id == job_id, Job.parked_at.is_not(None))
    database.session().execute(parked.values(fresh))


def overdue(kind: str, until: int, limit: int) -> dict[str, Mapping[str, Any]]:
    """Up to `limit` jobs of that kind that nobody is doing, that are not done and were due, or parked, before `until`:
    their payloads by id.
    """
    when = func.coalesce(Job.parked_at, Job.due_at)
    idle = (Job.kind == kind, Job.done_at.is_(None), Job.holder.is_(None), when < until)
    found = database.session().execute(select(Job.id, Job.payload).where(*idle).order_by(when).limit(limit))
    return {id: json.loads(payload) for id, payload in found}


def give_up(job_ids: Sequence[str]) -> None:
    """Delete these jobs unless somebody has taken one up meanwhile. Call it inside `database.writing()`."""
    database.session().execute(delete(Job).where(Job.id.in_(job_ids), Job.holder.is_(None)))


def let_go() -> int:
    """Take jobs from whoever held them; how many it were. For restored backups: nobody that held one is left.

    Call it inside `database.writing()`.
    """
    freed = database.session().execute(update(Job).where(Job.holder.is_not(None)).values(holder=None))
    return int(freed.rowcount)  # type: ignore[attr-defined]


class Worker:
    """Does jobs of the kinds in `handlers` in the background of one process, several at once.

    Kinds that are not in the table are left to workers that know them: those of a newer release, perhaps.
    """

    def __init__(
        self,
        app: Application,
        handlers: Mapping[str, Handler],
        *,
        threads: int = THREADS,
        every: float = EVERY,
        lease: float = LEASE,
    ) -> None:
        self._handlers = handlers
        self._lease = lease
        self._in_hand: dict[str, Claim] = {}
        self._silent_since: dict[tuple[str, int], float] = {}
        self._looked_at = 0.0
        self._rounds = [
            *(Rounds(f"jobs {n + 1}", app, self.work_once, every=every, breath=0) for n in range(threads)),
            Rounds("job leases", app, self.watch, every=lease / 4),
        ]

    def start(self) -> None:
        """Begin in this process."""
        for rounds in self._rounds:
            rounds.start()

    def stop(self) -> None:
        """Take no more jobs, and wait a moment for those in hand; one that goes on is lost, and done again."""
        ending = [threading.Thread(target=rounds.stop) for rounds in self._rounds]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()

    def work_once(self) -> bool:
        """Do one job, if one is due; whether one was."""
        claim = self._claim()
        if claim is None:
            return False
        with self._holding(claim), correlation.working_for(Origin(request_id=claim.id)):
            outcome = self._attempt(claim)
        metrics.JOBS.labels(claim.kind, outcome).inc()
        return True

    def watch(self) -> bool:
        """Renew the leases of this worker, look which others are renewed, count what waits; never is there more to do.

        After a pause of this process all counting of silence begins anew: the others may have been paused with it.
        """
        for claim in list(self._in_hand.values()):
            _renew(claim)
        now = clock.monotonic()
        before = self._silent_since if self._has_just_looked(now) else {}
        held = database.session().execute(select(Job.id, Job.beat).where(_OPEN, Job.holder.is_not(None)))
        self._silent_since = {(job, beat): before.get((job, beat), now) for job, beat in held}
        self._looked_at = now
        _count()
        return False

    def _has_just_looked(self, now: float) -> bool:
        return now - self._looked_at < self._lease / 2

    def _claim(self) -> Claim | None:
        """Take the job that is due for longest; of several workers that try, each gets another one."""
        claimable = self._claimable()
        if database.session().scalar(select(Job.id).where(claimable).limit(1)) is None:
            return None
        first = select(Job.id).where(claimable).order_by(Job.due_at).limit(1).with_for_update(skip_locked=True)
        holder = secrets.token_hex(12)
        take = (
            update(Job)
            .where(Job.id == first.scalar_subquery())
            .values(holder=holder, beat=Job.beat + 1, attempts=Job.attempts + 1)
            .returning(Job.id, Job.kind, Job.payload, Job.attempts)
        )
        with database.writing():
            taken = database.session().execute(take).one_or_none()
        return Claim(*taken, holder=holder) if taken else None

    def _claimable(self) -> ColumnElement[bool]:
        """Due, of a kind we know, and free, or held by somebody who has been silent for too long."""
        now = clock.monotonic()
        silent = [
            and_(Job.id == job, Job.beat == beat)
            for (job, beat), since in self._silent_since.items()
            if now - since >= self._lease and job not in self._in_hand and self._has_just_looked(now)
        ]
        is_due = (_OPEN, Job.kind.in_(self._handlers), Job.due_at <= clock.now())
        return and_(*is_due, or_(Job.holder.is_(None), *silent))

    @contextlib.contextmanager
    def _holding(self, claim: Claim) -> Iterator[None]:
        self._in_hand[claim.id] = claim
        try:
            yield
        finally:
            del self._in_hand[claim.id]

    def _attempt(self, claim: Claim) -> str:
        """Do the job and say so; how it went."""
        try:
            if claim.attempt > MOST_ATTEMPTS:
                raise Exhausted
            self._handlers[claim.kind](claim)
            if not claim.is_finished:
                with database.writing():
                    claim.finish()
        except LeaseLost:
            log.warning("job lost", job=claim.id, kind=claim.kind)
            return "lost"
        except Exception as error:
            return _failed(claim, error)
        return "done"


class Hopeless(Exception):
    """A handler says that trying again cannot help: the job is parked at once."""


class Exhausted(Exception):
    """Every attempt so far took its worker with it."""


def _renew(claim: Claim) -> None:
    with contextlib.suppress(LeaseLost), database.writing():  # the claim finds out when it finishes
        claim.renew()


def _failed(claim: Claim, error: Exception) -> str:
    try:
        with database.writing():
            is_parked = claim.put_back(error)
    except LeaseLost:
        return "lost"
    if is_parked:
        log.error("job parked", job=claim.id, kind=claim.kind, attempts=claim.attempt, exc_info=error)
        return "parked"
    log.warning("job failed", job=claim.id, kind=claim.kind, attempts=claim.attempt, exc_info=error)
    return "failed"


def _count() -> None:
    """Say how many jobs wait, and for how long the oldest does: what an operator sets an alarm on."""
    waiting = select(_STATE, func.count(), func.min(Job.due_at)).where(Job.done_at.is_(None)).group_by(_STATE)
    found = {name: (count, oldest) for name, count, oldest in database.session().execute(waiting)}
    now = clock.now()
    for name in ("waiting", "held", "parked"):
        count, oldest = found.get(name, (0, now))
        metrics.JOBS_WAITING.labels(name).set(count)
        metrics.JOBS_AGE.labels(name).set(max(0, now - oldest) / clock.SECOND)
