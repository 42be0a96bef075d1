"""How every command is run: the settings of the environment, the application, who acts, and how a "no" is told.

A command's function parses what was typed, opens `database.writing()` around one rule, and returns what is to be
shown. Everything else happens here, so that no command can forget it.
"""

import contextlib
import os
import pwd
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final, Literal

import click
import structlog
from flask import Flask

from idp.audit.trail import Actor
from idp.cli import output
from idp.cli.output import Json
from idp.keys import master_keys
from idp.platform import correlation, database, schema
from idp.platform.correlation import Origin
from idp.platform.errors import Invalid, Refusal
from idp.platform.settings import Settings

Needs = Literal["data", "application", "nothing"]
"""What a command stands on: the migrated database, the application alone, or not even settings."""

_AS_JSON: Final = "canopy.json"


def operator() -> Actor:
    """Who acts: the operating system's user, whatever the environment says."""
    try:
        return Actor("operator", pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return Actor("operator", str(os.getuid()))


class Failure(Exception):
    """What was asked for was done, and the answer is bad news: it is shown, and the exit status is 1."""

    def __init__(self, answer: Json) -> None:
        super().__init__("the answer is bad news")
        self.answer = answer


class Command(click.Command):
    """A command whose function returns what is to be shown. `needs`: see `Needs`."""

    def __init__(self, *args: Any, needs: Needs = "data", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(json_option())
        self._needs = needs

    def invoke(self, ctx: click.Context) -> None:
        """Run the function where it belongs and show what it returns."""
        as_json = bool(ctx.find_root().meta.get(_AS_JSON))
        with _told(as_json=as_json), correlation.working_for(Origin()), _standing_on(self._needs):
            try:
                output.show(super().invoke(ctx), as_json=as_json)
            except Failure as failure:
                output.show(failure.answer, as_json=as_json)
                ctx.exit(1)


class Noun(click.Group):
    """The commands about one kind of thing."""

    command_class = Command
    group_class = type


def json_option() -> click.Option:
    """`--json`, wherever it stands."""
    return click.Option(
        ["--json", "as_json"],
        is_flag=True,
        expose_value=False,
        callback=_choose_json,
        help="Print one JSON value instead of a table.",
    )


def _choose_json(ctx: click.Context, _: click.Parameter, chosen: bool) -> None:
    if chosen:
        ctx.find_root().meta[_AS_JSON] = True


def create_app(settings: Settings) -> Flask:
    """The provider. The factory stands above every door, so a door looks it up where it is needed (ADR 1)."""
    factory: Callable[[Settings], Flask] = import_module("idp.app").create_app
    return factory(settings)


def make_what_comes_with_the_release() -> None:
    """What the factory makes before the first request: the built-in roles and the issuer's permissions."""
    start: Callable[[], None] = import_module("idp.app").start
    start()


@contextlib.contextmanager
def _standing_on(needs: Needs) -> Iterator[None]:
    if needs == "nothing":
        yield
        return
    with create_app(Settings.load(os.environ)).app_context():
        try:
            if needs == "data":
                schema.check()
                master_keys.check()
            yield
        finally:
            database.db.session.remove()
            database.db.engine.dispose()


# How a "no" is told


class Refused(click.ClickException):
    """A refusal on its way out: the exit status is 1."""

    def __init__(self, refusal: Refusal, *, as_json: bool) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.as_json = as_json

    def show(self, file: Any = None) -> None:
        """Say what is wrong and what to do on stderr; with `--json` the same as a value on stdout."""
        refusal = self.refusal
        output.tell(f"{refusal.message} ({refusal.code})\n{refusal.remedy}")
        if self.as_json:
            body = {"error": refusal.code, "message": refusal.message, "remedy": refusal.remedy}
            field = {"field": refusal.field} if isinstance(refusal, Invalid) and refusal.field else {}
            output.show({**body, **field, **refusal.particulars}, as_json=True)


class Unexpected(Refusal):
    """A bug; the log has the rest, under the reference."""

    code = "unexpected"
    status = 500
    title = "Something went wrong"
    remedy = "Look for the reference in the log, and report what stands there."


@contextlib.contextmanager
def _told(*, as_json: bool) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        raise Refused(refusal, as_json=as_json) from None
    except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception as error:
        away = database.refusal_for(error)
        if away is None:
            structlog.get_logger().error("command failed", exc_info=error)
            away_or_bug: Refusal = Unexpected(f"{Unexpected.title}: reference {correlation.current().request_id}")
        else:
            away_or_bug = away
        raise Refused(away_or_bug, as_json=as_json) from None


# What commands read


def from_stdin(what: str) -> str:
    """The secret on standard input, less the line end; never asked for, never shown. Raises `Invalid` when empty."""
    text = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not text:
        raise Invalid(f"nothing stood on standard input, where {what} was expected")
    return text
