"""Which language people read when we write to them: there is no request then that could say so."""

from idp.platform import i18n
from idp.users import claims
from idp.users.models import User


def of(user: User) -> str:
    """The language of mails to the person, one of `i18n.LOCALES`: the claim `locale` if we speak it, else the first."""
    said = claims.load(user.claims).get("locale")
    return i18n.spoken(str(said or "")) or next(iter(i18n.LOCALES))
