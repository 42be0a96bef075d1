"""`idp epoch`: the age that tokens belong to."""

from idp.cli.door import Noun, operator
from idp.cli.output import Json
from idp.keys import epoch as epochs
from idp.platform import database
from idp.users import first_run

epoch = Noun("epoch", help="The age that tokens belong to.")


@epoch.command("new")
def new() -> Json:
    """Refuse every token that was issued before, everywhere, within a second; clients refresh. After a restore, e.g.

    A link of `idp setup` that came back with the data opens nothing either.
    """
    with database.writing():
        epochs.new(by=operator())
        first_run.close_door()
    return {"epoch": "new"}
