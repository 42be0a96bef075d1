"""In which language people read what we write to them: no request is there to say so. On which clock: `zones`."""

from idp.platform import i18n
from idp.users import claims
from idp.users.models import User


def of(user: User, asked_in: str = "") -> str:
    """The language of mails to the person, one of `i18n.LOCALES`: the claim `locale` if we speak it, else that of the
    page on which a letter was `asked_in`, if it was, else the first.
    """
    said = claims.load(user.claims).get("locale")
    return i18n.spoken(str(said or "")) or i18n.spoken(asked_in) or next(iter(i18n.LOCALES))
