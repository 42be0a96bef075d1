"""Every migration on a SQLite database of its own: what the models have beyond it, and the next migration.

`python -m tests.architecture.schema check` fails when models and migrations differ; `revise MESSAGE` writes what would
make them agree.
"""

import sys
import tempfile
from pathlib import Path

from flask import Flask

from idp.platform import schema
from tests import databases


def main(command: str, *message: str) -> int:
    """Run `command`; the exit status."""
    with tempfile.TemporaryDirectory() as folder, _app_in(Path(folder)).app_context():
        schema.upgrade()
        if command == "revise":
            schema.make_revision(" ".join(message))
            return 0
        found = schema.differences()
    for difference in found:
        print(difference, file=sys.stderr)
    return int(bool(found))


def _app_in(folder: Path) -> Flask:
    return databases.app_on(f"sqlite:///{folder / 'canopy.db'}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
