"""`idp epoch`: the age that tokens belong to."""

from idp.cli.door import Noun, operator
from idp.cli.output import Json
from idp.keys import epoch as epochs
from idp.platform import database

epoch = Noun("epoch", help="The age that tokens belong to.")


@epoch.command("new")
def new() -> Json:
    """Refuse every token that was issued before, everywhere, within a second; clients refresh. After a restore, e.g."""
    with database.writing():
        epochs.new(by=operator())
    return {"epoch": "new"}
