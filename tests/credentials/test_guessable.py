"""What is guessed first: refused with the reason, by a list that is read offline, and by what belongs to the person."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from idp.credentials import guessable, passwords
from idp.credentials.passwords import About, NotAllowed
from idp.platform.settings import configure
from idp.users.users import UserSettings
from tests import databases

GOOD = "correct horse battery staple"
OLIVIA = passwords.about(
    UserSettings("olund", {"given_name": "Olivia", "family_name": "Lindqvist", "nickname": "Ollie"}),
    ["olivia.lindqvist@post.test"],
    ["Northwind Traders", "northwind"],
)


@pytest.fixture(scope="module", autouse=True)
def _configured() -> Iterator[None]:
    """How long a password has to be is a setting; nothing else of a provider is needed here."""
    app = Flask("configured")
    configure(app, databases.settings_for("sqlite:////nowhere.db"))
    with app.app_context():
        yield


@pytest.mark.rule("PWD-03")
@pytest.mark.parametrize(
    "common",
    [
        "1qaz2wsx3edc4rfv",
        "1QAZ2wsx3edc4RFV",
        "MailCreated5240",
        "Password2026!!!",
        "P@ssw0rd-123456",
        "passwordpassword",
        "letmein letmein letmein",
        "123456789012345",
        "987654321987654321",
        "qwertyuiopasdfg",
        "abcdefghijklmnop",
        "1234567890qwert",
        "aaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "               ",
        "!?!?!?!?!?!?!?!?",
        "🐎" * 15,
        "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff441234567",
    ],
)
def test_what_everybody_tries_first_is_refused(common: str) -> None:
    with pytest.raises(NotAllowed, match=r"common.*zxcvbn 4\.5\.0"):
        passwords.require_allowed(common, About())


@pytest.mark.rule("PWD-03")
@pytest.mark.parametrize(
    "personal",
    [
        "olivia.lindqvist@post.test",
        "Olivia.Lindqvist@Post.Test!",
        "the olund family 2026",
        "OLIVIA climbs trees",
        "0l1v1a climbs trees",
        "o l i v i a climbs",
        "family of lindqvist",
        "ollie goes sailing",
        "n0rthw1nd for ever",
        "traders of the north",
        "canopy above the forest",
        "my C.A.N.O.P.Y. key",
    ],
)
def test_what_belongs_to_the_person_the_organization_or_the_product_is_refused(personal: str) -> None:
    with pytest.raises(NotAllowed, match="a name of yours"):
        passwords.require_allowed(personal, OLIVIA)


def test_names_that_are_written_with_few_letters_count_and_short_words_of_others_do_not() -> None:
    with pytest.raises(NotAllowed):
        passwords.require_allowed("the way of 小明 the traveller", About(("小明",)))
    passwords.require_allowed("the way of ann the traveller", About(("Ann", "a", "")))


@pytest.mark.parametrize(
    "fine",
    [GOOD, "tr0ub4dor and three", "15 characters!!", "другой хороший пароль", "seven small horses", "x9$kQ2vLp0#zR7w"],
)
def test_anything_else_of_15_characters_is_allowed_without_rules_of_composition(fine: str) -> None:
    passwords.require_allowed(fine, OLIVIA)


@pytest.mark.rule("PWD-01")
def test_128_characters_and_more_are_accepted() -> None:
    sentence = "".join(f"{number} sheep, " for number in range(200))
    for length in (128, 1_024):
        passwords.require_allowed(sentence[:length], OLIVIA)


@pytest.mark.rule("PWD-01")
def test_8_characters_do_only_beside_a_second_factor() -> None:
    with pytest.raises(NotAllowed, match="15"):
        passwords.require_allowed("k7#vQ2pz", About())
    passwords.require_allowed("k7#vQ2pz", About(has_second_factor=True))
    with pytest.raises(NotAllowed, match="8"):
        passwords.require_allowed("k7#vQ2p", About(has_second_factor=True))


@pytest.mark.rule("PWD-03")
def test_the_list_is_whole_and_says_what_it_is() -> None:
    assert guessable.list_version() == "zxcvbn 4.5.0, passwords"
    assert len(guessable._listed()) >= 30_000
    assert guessable.is_common("momsanaladventure")


@given(st.text(max_size=1_024), st.lists(st.text(max_size=40), max_size=5))
def test_no_text_upsets_the_check(text: str, words: list[str]) -> None:
    assert guessable.is_common(text) in (True, False)
    assert guessable.belongs_to(text, words) in (None, *words)


@pytest.mark.rule("PWD-04")
def test_the_check_needs_no_network_and_signing_in_needs_no_list(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    guessable._listed.cache_clear()
    with pytest.raises(NotAllowed):
        passwords.require_allowed("passwordpassword", About())
    guessable._listed.cache_clear()
    monkeypatch.setattr(guessable, "_FILE", Path("/nowhere/at/all"))
    assert not passwords.verify(None, "passwordpassword").is_right
