"""The command line: `idp …`, for operators, automation and tests.

A door: every command parses its arguments, calls one rule, commits, and prints a table or one JSON value. It owns no
rule and no table; the declarative file of `idp apply` is read here and handed to the rules object by object.
"""

from idp.cli.main import main

__all__ = ["main"]
