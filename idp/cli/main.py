"""`idp`: every command, by name and by where it lives."""

from importlib import import_module
from importlib.metadata import version
from typing import Final

import click

from idp.cli.door import json_option

COMMANDS: Final = {
    "serve": "idp.cli.serve:serve",
    "worker": "idp.cli.worker:worker",
    "db": "idp.cli.db:db",
    "org": "idp.cli.org:org",
    "account": "idp.cli.account:account",
    "group": "idp.cli.group:group",
    "user": "idp.cli.user:user",
    "member": "idp.cli.member:member",
    "team": "idp.cli.team:team",
    "role": "idp.cli.role:role",
    "grant": "idp.cli.grant:grant",
    "why": "idp.cli.why:why",
    "invitation": "idp.cli.invitation:invitation",
    "domain": "idp.cli.domain:domain",
    "break-glass": "idp.cli.break_glass:break_glass",
    "client": "idp.cli.client:client",
    "api": "idp.cli.api:api",
    "token": "idp.cli.token:token",
    "operator": "idp.cli.operator:operator",
    "setup": "idp.cli.setup:setup",
    "session": "idp.cli.session:session",
    "revoke": "idp.cli.revoke:revoke",
    "keys": "idp.cli.keys:keys",
    "apply": "idp.cli.apply.command:apply",
    "export": "idp.cli.export:export",
    "epoch": "idp.cli.epoch:epoch",
    "audit": "idp.cli.audit:audit",
    "job": "idp.cli.job:job",
    "mail": "idp.cli.mail:mail",
    "backup": "idp.cli.backup:backup",
    "restore": "idp.cli.backup:restore",
    "config": "idp.cli.config:config",
    "doctor": "idp.cli.doctor:doctor",
    # one line a command
}
"""In the order in which `idp --help` lists them; a module is imported when its command is asked for."""


class _Idp(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        module, _, name = where.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group("idp", cls=_Idp, params=[json_option()], context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("canopy-idp"), prog_name="idp")
def main() -> None:
    """Canopy's command line: for operators, automation and tests.

    Settings come from the environment (IDP_*). Every command takes --json, never asks anything, changes nothing when
    asked twice, and ends with status 0 only if what was asked for is so.
    """
