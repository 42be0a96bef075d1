"""`idp worker`: jobs, and what has to be done from time to time. `idp serve` runs one inside.

Any number of nodes may run one: jobs are leased, and every chore is one that two nodes may do at once.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import click
from flask import Flask

from idp.audit.seal import Sealer
from idp.cli import start
from idp.cli.door import Command, create_app
from idp.credentials import authenticator_apps, ceremonies, email_codes, guesses, mailed_links
from idp.feed import acknowledgements, positions
from idp.login import asking, factor_resets, recovering, signing_up, transactions
from idp.login.asking import Asked
from idp.notices import telling
from idp.oauth import client_assertions, pending_requests
from idp.oauth import upkeep as old_authorizations
from idp.platform import correlation, database, jobs, outbox
from idp.platform.jobs import Claim, Handler
from idp.platform.mail import delivery, ways
from idp.platform.rounds import Rounds
from idp.platform.settings import Settings, settings
from idp.users import leaving


def _answering(write: Callable[[Asked], None]) -> Handler:
    """Write to whom somebody meant who asked for a letter, on account of whoever asked."""

    def answer(claim: Claim) -> None:
        asked = Asked(**claim.payload)
        with correlation.working_for(asked.origin), database.writing():
            asking.look(asked, write)
            claim.finish()

    return answer


def _reset_factors(claim: Claim) -> None:
    """Take the second factors of somebody who was warned."""
    with database.writing():
        factor_resets.carry_out(str(claim.payload["reset"]))
        claim.finish()


HANDLERS: Final[Mapping[str, Handler]] = {
    outbox.KIND: delivery.deliver,
    recovering.KIND: _answering(recovering.write),
    signing_up.KIND: _answering(signing_up.write),
    factor_resets.KIND: _reset_factors,
    # one line a kind of job
}


@dataclass(frozen=True)
class Chore:
    """What is done every `every` seconds; `work` says whether there is more to do at once."""

    name: str
    every: float
    work: Callable[[], bool]


def _in_batches(rule: Callable[[], int]) -> bool:
    """One batch of a rule that cleans up; whether it found anything."""
    with database.writing():
        return rule() > 0


def _notices() -> bool:
    """The next letters that the trail asks for; whether there may be more."""
    if not telling.is_behind():
        return False
    with database.writing():
        return telling.tell() == telling.BATCH


def _keys() -> bool:
    start.make_missing_keys()
    return False


CHORES: Final = (
    Chore("feed clean-up", 60, partial(_in_batches, positions.clean_up)),
    Chore("follower clean-up", 60, partial(_in_batches, acknowledgements.clean_up)),
    Chore("job clean-up", 60, partial(_in_batches, jobs.clean_up)),
    Chore("sign-in clean-up", 60, partial(_in_batches, transactions.clean_up)),
    Chore("authorization clean-up", 60, partial(_in_batches, old_authorizations.clean_up)),
    Chore("session clean-up", 60, partial(_in_batches, old_authorizations.clean_up_sessions)),
    Chore("ceremony clean-up", 60, partial(_in_batches, ceremonies.clean_up)),
    Chore("app clean-up", 60, partial(_in_batches, authenticator_apps.clean_up)),
    Chore("mailed link clean-up", 60, partial(_in_batches, mailed_links.clean_up)),
    Chore("mailed code clean-up", 60, partial(_in_batches, email_codes.clean_up)),
    Chore("guess clean-up", 60, partial(_in_batches, guesses.clean_up)),
    Chore("assertion clean-up", 60, partial(_in_batches, client_assertions.clean_up)),
    Chore("request clean-up", 60, partial(_in_batches, pending_requests.clean_up)),
    Chore("browser clean-up", 60, partial(_in_batches, pending_requests.forget_browsers)),
    Chore("address clean-up", 60, partial(_in_batches, leaving.clear_away)),
    Chore("notices", 1, _notices),
    Chore("letter clean-up", 60, partial(_in_batches, outbox.clean_up)),
    Chore("signing keys", 60, _keys),
)


class Background(Protocol):
    """Something that goes on in threads of this process from `start()` to `stop()`."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


def handlers(app: Flask) -> dict[str, Handler]:
    """The kinds of jobs that can be done with the settings of `app`: without a way out for mail, letters wait."""
    with app.app_context():
        has_way = ways.way_of(settings()) is not None
    return {kind: handler for kind, handler in HANDLERS.items() if has_way or kind != outbox.KIND}


def upkeep(app: Flask) -> tuple[Background, ...]:
    """Everything that a worker does."""
    return (
        Sealer(app),
        jobs.Worker(app, handlers(app)),
        *(Rounds(chore.name, app, chore.work, every=chore.every) for chore in CHORES),
    )


def run(app: Flask, ready: Callable[[], None] = lambda: None) -> None:
    """Work until SIGTERM or SIGINT, then end what is in hand. Takes the signals of this process for itself."""
    told = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: told.set())
    background = upkeep(app)
    for one in background:
        one.start()
    ready()
    told.wait()
    ending = [threading.Thread(target=one.stop, daemon=True) for one in background]
    for thread in ending:
        thread.start()
    for thread in ending:
        thread.join()


@click.command(cls=Command, needs="nothing")
def worker() -> None:
    """Do jobs and upkeep (the audit chain, clean-up) until SIGTERM."""
    loaded = Settings.load(os.environ)
    start.forget_secrets()
    app = create_app(loaded)
    start.make_ready(app)
    run(app)
