"""What the person is asked next: the policy of the authorization endpoint as a table of cases."""

import pytest

from idp.oauth.errors import ConsentRequired, InteractionRequired, LoginRequired
from idp.oauth.needs import REFUSALS, Need, Standing, next_need

CASES: list[tuple[str, dict[str, bool], Need]] = [
    # who
    ("", {}, Need.NOTHING),
    ("", {"is_signed_in": False}, Need.SIGN_IN),
    ("login", {"is_signed_in": False, "is_agreed": False}, Need.SIGN_IN),
    ("select_account", {}, Need.PERSON),
    ("select_account", {"has_said_who": True}, Need.NOTHING),
    ("", {"is_meant": False}, Need.PERSON),
    ("", {"is_meant": False, "has_said_who": True}, Need.NOTHING),
    # how recently
    ("login", {}, Need.PROOF),
    ("login", {"has_said_who": True}, Need.PROOF),
    ("login", {"has_said_who": True, "has_proven": True}, Need.NOTHING),
    ("", {"is_recent": False}, Need.PROOF),
    ("", {"is_recent": False, "has_said_who": True}, Need.PROOF),
    ("", {"is_recent": False, "has_proven": True}, Need.NOTHING),
    ("login select_account", {}, Need.PERSON),
    ("login select_account", {"has_said_who": True}, Need.PROOF),
    # how strongly
    ("", {"is_strong": False}, Need.NOTHING),
    ("none", {"is_strong": False}, Need.STRENGTH),
    ("", {"is_strong": False, "can_be_stronger": True}, Need.STRENGTH),
    ("", {"is_strong": False, "can_be_stronger": True, "has_said_who": True}, Need.NOTHING),
    # where
    ("", {"is_choice": True}, Need.NOTHING),
    ("", {"is_choice": True, "is_decided": False}, Need.CONTEXT),
    ("", {"is_choice": True, "has_chosen": True}, Need.NOTHING),
    ("select_context", {"is_choice": True}, Need.CONTEXT),
    ("select_context", {"is_choice": True, "has_chosen": True}, Need.NOTHING),
    ("select_context", {}, Need.NOTHING),
    # what
    ("", {"is_agreed": False}, Need.CONSENT),
    ("", {"is_agreed": False, "has_agreed": True}, Need.NOTHING),
    ("consent", {}, Need.CONSENT),
    ("consent", {"has_agreed": True}, Need.NOTHING),
    # in this order
    ("login consent", {"is_agreed": False}, Need.PROOF),
    ("consent", {"is_choice": True, "is_decided": False}, Need.CONTEXT),
    ("consent", {"is_strong": False, "can_be_stronger": True, "is_decided": False}, Need.STRENGTH),
    ("select_account consent", {"is_recent": False}, Need.PERSON),
]


@pytest.mark.parametrize(("prompt", "facts", "need"), CASES)
def test_what_is_asked_next(prompt: str, facts: dict[str, bool], need: Need) -> None:
    assert next_need(Standing(frozenset(prompt.split()), **facts)) is need


@pytest.mark.parametrize(
    ("facts", "refusal"),
    [
        ({"is_signed_in": False}, LoginRequired),
        ({"is_meant": False}, LoginRequired),
        ({"is_recent": False}, LoginRequired),
        ({"is_strong": False}, InteractionRequired),
        ({"is_choice": True, "is_decided": False}, InteractionRequired),
        ({"is_agreed": False}, ConsentRequired),
    ],
)
def test_what_is_told_where_nobody_may_be_asked(facts: dict[str, bool], refusal: type[Exception]) -> None:
    assert REFUSALS[next_need(Standing(frozenset({"none"}), **facts))] is refusal


def test_there_is_an_answer_for_everything_that_can_be_missing() -> None:
    assert set(REFUSALS) == set(Need) - {Need.NOTHING}
