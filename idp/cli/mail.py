"""`idp mail`: whether mail arrives."""

import click

from idp.cli.door import Noun
from idp.cli.output import Json
from idp.platform import i18n
from idp.platform.errors import Unavailable
from idp.platform.mail import delivery
from idp.platform.mail.smtp import NotSent
from idp.users import names

mail = Noun("mail", help="Mail: what leaves by IDP_MAIL.")


class NotDelivered(Unavailable):
    """The letter did not leave."""

    code = "mail_not_sent"
    title = "The letter could not be handed over"
    remedy = "Check IDP_MAIL (`idp config show`), and what the server says."


@mail.command("test")
@click.argument("address")
@click.option(
    "--language", type=click.Choice(list(i18n.LOCALES)), default="en", show_default=True, help="Of the letter."
)
def test(address: str, language: str) -> Json:
    """Send a letter to ADDRESS now, and say what the mail server answered."""
    to = names.parse_address(address).address
    try:
        return {"to": to, "answer": delivery.try_letter(to, language)}
    except NotSent as error:
        raise NotDelivered(f"{type(error).__name__}: {error.answer or error}") from None
    except OSError as error:
        raise NotDelivered(f"the directory cannot be written to: {error.strerror}") from None
