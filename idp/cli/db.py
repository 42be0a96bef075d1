"""`idp db`: the schema of the database."""

from idp.cli.door import Noun, make_what_comes_with_the_release
from idp.cli.output import Json
from idp.platform import schema

db = Noun("db", help="The schema of the database.")


@db.command("upgrade", needs="application")
def upgrade() -> Json:
    """Bring the schema up to this release, and make the rows that come with it.

    Safe to run from several nodes at once: they wait for one another, and asking twice changes nothing.
    """
    schema.upgrade()
    make_what_comes_with_the_release()
    return {"schema": "current"}


@db.command("check", needs="application")
def check() -> Json:
    """Say whether the schema is the one of this release; status 0 only if it is."""
    schema.check()
    return {"schema": "current"}
