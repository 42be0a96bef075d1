"""Every migration on a SQLite database of its own: what the models have beyond it, and the next migration.

`python -m tests.schema check` fails when models and migrations differ; `revise MESSAGE` writes the migration.
"""

import sys
import tempfile
from pathlib import Path

from idp.platform import schema
from tests import databases


def main(command: str, *message: str) -> int:
    """Run `command`; the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        with databases.app_on(f"sqlite:///{Path(folder) / 'canopy.db'}").app_context():
            schema.upgrade()
            if command == "revise":
                schema.make_revision(" ".join(message))
            found = schema.differences()
            databases.dispose()
    if command == "check":
        for difference in found:
            print(difference, file=sys.stderr)
        return int(bool(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
