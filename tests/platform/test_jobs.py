"""Jobs: done at least once, by one worker at a time, whatever happens to workers and clocks."""

import secrets
import threading
from collections.abc import Callable, Mapping

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from idp.platform import clock, database, jobs, metrics
from idp.platform.errors import NotFound
from idp.platform.jobs import Claim, Handler, Job, Worker


def _add(kind: str = "greet", due_at: int | None = None) -> str:
    with database.writing():
        return jobs.add(kind, {"to": "alice"}, due_at=due_at)


def _row(job: str) -> Job:
    database.session().rollback()
    return database.session().get_one(Job, job, populate_existing=True)


def _worker(app: Flask, handlers: Mapping[str, Handler], lease: float = jobs.LEASE) -> Worker:
    return Worker(app, handlers, lease=lease)


def _fails(_: Claim) -> None:
    raise ConnectionError("the mail server is away")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass on the monotonic clock."""
    passed = [0.0]
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + passed[0])

    def pass_by(seconds: float) -> None:
        passed[0] += seconds

    return pass_by


def test_a_job_is_done_once_and_forgets_what_it_was_told(app: Flask) -> None:
    told = []
    job = _add()
    worker = _worker(app, {"greet": lambda claim: told.append((claim.payload["to"], claim.attempt))})
    assert worker.work_once()
    assert not worker.work_once()
    assert told == [("alice", 1)]
    assert (_row(job).payload, _row(job).done_at is None) == ("{}", False)


def test_a_job_that_was_asked_for_in_a_change_that_failed_is_never_done(app: Flask) -> None:
    with pytest.raises(ZeroDivisionError), database.writing():
        jobs.add("greet", {})
        _ = 1 // 0
    assert not _worker(app, {"greet": _fails}).work_once()


def test_a_job_waits_until_it_is_due_and_the_one_that_waits_for_longest_comes_first(app: Flask) -> None:
    now = clock.now()
    _add(due_at=now + clock.HOUR)
    order = [_add(due_at=now - 1), _add(due_at=now - 3), _add(due_at=now - 2)]
    done: list[str] = []
    worker = _worker(app, {"greet": lambda claim: done.append(claim.id)})
    while worker.work_once():
        pass
    assert done == [order[1], order[2], order[0]]


def test_kinds_that_a_worker_does_not_know_are_left_to_others(app: Flask) -> None:
    job = _add("of.the.next.release")
    assert not _worker(app, {"greet": _fails}).work_once()
    assert _row(job).attempts == 0


def test_a_failed_job_is_tried_again_later_and_later(app: Flask) -> None:
    job = _add()
    worker = _worker(app, {"greet": _fails})
    with time_machine.travel(clock.now() / clock.SECOND, tick=False) as traveller:
        assert worker.work_once()
        assert not worker.work_once()
        first = _row(job).due_at - clock.now()
        traveller.shift(first / clock.SECOND + 1)
        assert worker.work_once()
        second = _row(job).due_at - clock.now()
    assert 2.5 * clock.SECOND <= first < 5 * clock.SECOND <= second < 10 * clock.SECOND
    assert _row(job).last_error == "ConnectionError"


@pytest.mark.parametrize("attempt", [1, 5, 12, 60])
def test_pauses_double_up_to_an_hour_and_differ(attempt: int) -> None:
    pauses = {jobs.pause_after(attempt) for _ in range(20)}
    longest = min(5 * clock.SECOND * 2 ** (attempt - 1), clock.HOUR)
    assert longest // 2 <= min(pauses) <= max(pauses) < longest
    assert len(pauses) > 1


@pytest.mark.parametrize("drawn", ["shortest", "longest"])
def test_a_server_may_be_away_for_hours_before_a_job_is_parked(monkeypatch: pytest.MonkeyPatch, drawn: str) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda end: 0 if drawn == "shortest" else end - 1)
    waited = sum(jobs.pause_after(attempt) for attempt in range(1, jobs.MOST_ATTEMPTS))
    assert 4 * clock.HOUR <= waited <= 8.5 * clock.HOUR


def test_a_job_that_fails_too_often_is_parked_and_told_of(
    app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs, "MOST_ATTEMPTS", 1)
    job = _add()
    worker = _worker(app, {"greet": _fails})
    worker.work_once()
    with time_machine.travel(clock.now() / clock.SECOND + 7 * 86_400):
        assert not worker.work_once()
    assert _row(job).parked_at is not None
    assert '"event":"job parked"' in capsys.readouterr().err


def test_a_parked_job_is_listed_first_and_tried_again_when_told_so(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_ATTEMPTS", 1)
    waiting, parked = _add(due_at=clock.now() + clock.HOUR), _add()
    _worker(app, {"greet": _fails}).work_once()
    listed = [(one.id, one.state, one.attempts, one.last_error) for one in jobs.undone()]
    assert listed == [(parked, "parked", 1, "ConnectionError"), (waiting, "waiting", 0, "")]
    due_at = _row(waiting).due_at
    with database.writing():
        jobs.again(parked)
        jobs.again(waiting)
    assert _row(waiting).due_at == due_at
    assert _worker(app, {"greet": lambda _: None}).work_once()
    assert _row(parked).done_at
    with pytest.raises(NotFound), database.writing():
        jobs.again("job_unknown")


def test_a_job_that_takes_its_worker_along_is_parked_unread(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_ATTEMPTS", 2)
    job = _add()
    with database.writing():
        _row_for_update = database.session().get_one(Job, job)
        _row_for_update.attempts = 2
    read: list[Claim] = []
    assert _worker(app, {"greet": read.append}).work_once()
    assert (read, _row(job).parked_at is None) == ([], False)


def test_what_a_job_changes_happens_with_its_end_or_not_at_all(app: Flask) -> None:
    job = _add()

    def add_another(claim: Claim) -> None:
        with database.writing():
            jobs.add("greet", {"to": "bob"})
            if claim.attempt == 1:
                raise ConnectionError
            claim.finish()

    worker = _worker(app, {"greet": add_another})
    worker.work_once()
    assert database.session().scalars(select(Job.id)).all() == [job]
    with time_machine.travel(clock.now() / clock.SECOND + 60):
        worker.work_once()
    assert _row(job).done_at
    assert len(database.session().scalars(select(Job.id)).all()) == 2


def test_two_workers_at_once_never_have_the_same_job(app: Flask) -> None:
    wanted = sorted(_add() for _ in range(12))
    done: list[str] = []
    workers = [_worker(app, {"greet": lambda claim: done.append(claim.id)}) for _ in range(3)]

    def work(worker: Worker) -> None:
        with app.app_context():
            while worker.work_once():
                pass

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == wanted


# Leases


class _Paused:
    """A worker that was stopped in the middle of a job, and goes on when told to."""

    def __init__(self, app: Flask, lease: float = jobs.LEASE) -> None:
        self.worker = Worker(app, {"greet": self._greet}, lease=lease)
        self.outcome: list[str] = []
        self._began, self._go_on = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(app,))
        self._thread.start()
        assert self._began.wait(5)

    def _greet(self, claim: Claim) -> None:
        self._began.set()
        assert self._go_on.wait(10)
        with database.writing():
            jobs.add("trace", {})
            try:
                claim.finish()
            except jobs.LeaseLost:
                self.outcome.append("lost")
                raise
            self.outcome.append("done")

    def _run(self, app: Flask) -> None:
        with app.app_context():
            self.worker.work_once()

    def resume(self) -> None:
        self._go_on.set()
        self._thread.join()


def _look(app: Flask, worker: Worker) -> None:
    with app.app_context():
        worker.watch()


def _let_pass(app: Flask, later: Callable[[float], None], *watching: Worker, seconds: float = jobs.LEASE + 1) -> None:
    """Let `seconds` pass, in which `watching` look around as their thread would."""
    for _ in range(8):
        later(seconds / 8)
        for worker in watching:
            _look(app, worker)


def test_a_job_whose_holder_died_is_taken_over_after_the_lease(app: Flask, later: Callable[[float], None]) -> None:
    job = _add()
    dead, done = _Paused(app), []
    other = _worker(app, {"greet": lambda claim: done.append(claim.attempt)})
    _look(app, other)
    _let_pass(app, later, other, seconds=jobs.LEASE - 1)
    assert not other.work_once()
    _let_pass(app, later, other, seconds=2)
    assert other.work_once()
    assert done == [2]
    dead.resume()
    assert _row(job).done_at


def test_a_paused_worker_finds_out_and_what_it_did_is_not_kept(app: Flask, later: Callable[[float], None]) -> None:
    _add()
    paused = _Paused(app)
    other = _worker(app, {"greet": lambda _: None})
    _look(app, other)
    _let_pass(app, later, other)
    assert other.work_once()
    paused.resume()
    assert paused.outcome == ["lost"]
    assert "trace" not in database.session().scalars(select(Job.kind)).all()


def test_a_job_that_takes_long_stays_with_the_worker_that_renews_it(app: Flask, later: Callable[[float], None]) -> None:
    _add()
    slow, other = _Paused(app), _worker(app, {"greet": _fails})
    _look(app, other)
    _let_pass(app, later, slow.worker, other)
    assert not other.work_once()
    slow.resume()
    assert slow.outcome == ["done"]


def test_a_sign_of_life_in_the_last_moment_counts(app: Flask, later: Callable[[float], None]) -> None:
    _add()
    slow, other = _Paused(app), _worker(app, {"greet": _fails})
    _look(app, other)
    _let_pass(app, later, other)
    _look(app, slow.worker)
    assert not other.work_once()
    slow.resume()
    assert slow.outcome == ["done"]


@pytest.mark.parametrize("jump", [-86_400, 86_400])
def test_clocks_that_jump_take_no_job_away(app: Flask, jump: int) -> None:
    _add(due_at=0)
    slow, other = _Paused(app), _worker(app, {"greet": _fails})
    _look(app, other)
    with time_machine.travel(clock.now() / clock.SECOND + jump):
        _look(app, other)
        assert not other.work_once()
        slow.resume()
    assert slow.outcome == ["done"]


def test_who_was_away_itself_counts_silence_anew(app: Flask, later: Callable[[float], None]) -> None:
    _add()
    holder, other = _Paused(app), _worker(app, {"greet": _fails})
    _look(app, other)
    later(jobs.LEASE * 3)  # nobody looked meanwhile: the whole machine slept
    assert not other.work_once()
    _look(app, other)
    assert not other.work_once()
    holder.resume()
    assert holder.outcome == ["done"]


# Upkeep


def test_done_jobs_are_cleaned_up_in_small_batches_and_others_stay(app: Flask) -> None:
    for _ in range(3):
        _add()
    worker = _worker(app, {"greet": lambda _: None})
    while worker.work_once():
        pass
    waiting = _add()
    with database.writing():
        assert jobs.clean_up() == 0
    with time_machine.travel((clock.now() + jobs.KEPT) / clock.SECOND + 1), database.writing():
        assert [jobs.clean_up(limit=2), jobs.clean_up(limit=2), jobs.clean_up(limit=2)] == [2, 1, 0]
    assert database.session().scalars(select(Job.id)).all() == [waiting]


def test_what_waits_and_what_is_parked_is_counted(app: Flask) -> None:
    with time_machine.travel(clock.now() / clock.SECOND, tick=False):
        _add(due_at=clock.now() - clock.MINUTE)
        _look(app, _worker(app, {}))
        told = metrics.exposition().decode()
    assert 'canopy_jobs_waiting{state="waiting"} 1.0' in told
    assert 'canopy_jobs_oldest_due_seconds{state="waiting"} 60.0\n' in told


def test_a_worker_in_the_background_does_what_comes(app: Flask) -> None:
    done = threading.Event()
    worker = Worker(app, {"greet": lambda _: done.set()}, every=0.02, threads=1)
    worker.start()
    try:
        _add()
        assert done.wait(5)
    finally:
        worker.stop()
