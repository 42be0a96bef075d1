"""Which language people read when we write to them."""

import pytest
from flask import Flask

from idp.platform import database, i18n
from idp.users import languages, users
from idp.users.users import UserSettings
from tests.traces import OPERATOR


@pytest.mark.parametrize(
    ("said", "language"),
    [("de", "de"), ("de-AT", "de"), ("pt", "pt-BR"), ("pt_BR", "pt-BR"), ("AR", "ar"), ("tlh", "en"), ("", "en")],
)
def test_mails_are_in_the_language_that_people_say_they_read(app: Flask, said: str, language: str) -> None:
    with database.writing():
        user = users.create(UserSettings("bob", {"locale": said}), by=OPERATOR)
        assert languages.of(user) == language
        assert language in i18n.LOCALES
