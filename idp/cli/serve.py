"""`idp serve`: the provider, as a supervisor with its workers."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
from flask import Flask

from idp.cli import start
from idp.cli import worker as work
from idp.cli.door import Command, create_app
from idp.clients import secrets
from idp.feed import acknowledgements
from idp.feed import follower as following
from idp.feed.follower import Follower
from idp.platform import database, health, metrics, web_server
from idp.platform.errors import Invalid, Unavailable
from idp.platform.rounds import Rounds
from idp.platform.settings import Settings
from idp.platform.supervisor import Leash, Supervisor, Task
from idp.platform.web_server import Tls


@dataclass(frozen=True)
class Wishes:
    """How to serve: where, by how many processes, with which certificate, and whether jobs are done here, too."""

    host: str
    port: int
    workers: int
    tls: Tls | None = None
    with_jobs: bool = True


@click.command(cls=Command, needs="nothing")
@click.option("--bind", default="127.0.0.1:8000", metavar="HOST:PORT", show_default=True, help="Where to listen.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that serve; by default one a core.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate with its chain (PEM); needs --tls-key.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key (PEM, PKCS#8).")
@click.option("--no-worker", is_flag=True, help="Leave jobs and upkeep to `idp worker`.")
@click.pass_context
def serve(
    ctx: click.Context,
    bind: str,
    workers: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    no_worker: bool,
) -> None:
    """Serve until SIGTERM. Prints `READY <issuer>` once it answers."""
    settings = Settings.load(os.environ)
    start.forget_secrets()
    host, port = _address(bind)
    wishes = Wishes(host, port, workers or len(os.sched_getaffinity(0)), _tls(tls_cert, tls_key), not no_worker)
    ctx.exit(run(create_app(settings), settings, wishes))


def run(app: Flask, settings: Settings, wishes: Wishes) -> int:
    """Serve `app` until SIGTERM or SIGINT; the exit status. Raises a refusal when it cannot begin."""
    if wishes.tls:
        wishes.tls.check()
    with (
        web_server.listen(wishes.host, wishes.port) as listener,
        tempfile.TemporaryDirectory(prefix="canopy-metrics-") as folder,
    ):
        metrics.share(Path(folder))
        start.make_ready(app)
        return Supervisor(
            _tasks(app, settings, wishes, listener),
            drain_seconds=settings.drain_seconds,
            on_ready=lambda: _say(f"READY {settings.issuer}"),
            on_closing=listener.close,
            on_end=metrics.forget,
        ).run()


def _tasks(app: Flask, settings: Settings, wishes: Wishes, listener: socket.socket) -> list[Task]:
    answer = _answering(app, settings, wishes.tls, listener)
    tasks = [Task(f"web {number}", answer) for number in range(1, wishes.workers + 1)]
    return [*tasks, Task("jobs", _working(app, listener))] if wishes.with_jobs else tasks


def _answering(app: Flask, settings: Settings, tls: Tls | None, listener: socket.socket) -> Callable[[Leash], None]:
    """What a web worker does: follow the change feed and answer requests; say no to readiness once a stop is coming."""

    def answer(leash: Leash) -> None:
        leash.follow()
        leash.when_stopping(health.drain)
        follower = Follower(app, longest_token=settings.lifetimes.access)
        with app.app_context():
            following.appoint(follower)
        uses = Rounds("use of secrets", app, write_uses, every=60)
        said = Rounds("acknowledgements", app, write_acknowledgements, every=acknowledgements.EVERY)
        background: tuple[work.Background, ...] = (follower, uses, said)
        for one in background:
            one.start()
        leash.ready()
        web_server.serve(app, listener, tls)
        for one in reversed(background):
            one.stop()
        _write_last_uses(app)

    return answer


def _write_last_uses(app: Flask) -> None:
    """What was noted since the last round; a database that is away does not keep a process from ending."""
    try:
        with app.app_context():
            write_uses()
    except Exception as error:
        if database.refusal_for(error) is None and not isinstance(error, Unavailable):
            raise


def write_uses() -> bool:
    """Write down which secrets this process saw in use, once a minute; whether there is more to do at once: never."""
    if secrets.were_used():
        with database.writing():
            secrets.write_uses()
    return False


def write_acknowledgements() -> bool:
    """Write down how far services say that they have followed the feed; whether there is more to do at once: never."""
    if due := acknowledgements.due():
        with database.writing():
            acknowledgements.write(due)
    return False


def _working(app: Flask, listener: socket.socket) -> Callable[[Leash], None]:
    def do(leash: Leash) -> None:
        listener.close()
        leash.follow()
        work.run(app, leash.ready)

    return do


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # who started us may not care to listen
        click.echo(line)


def _address(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise Invalid("--bind: HOST:PORT is expected, e.g. 127.0.0.1:8000 or [::]:8000", field="bind")
    return host.strip("[]"), int(port)


def _tls(certificate: Path | None, key: Path | None) -> Tls | None:
    if certificate and key:
        return Tls(certificate, key)
    if certificate or key:
        raise Invalid("--tls-cert and --tls-key belong together", field="tls-key" if certificate else "tls-cert")
    return None
