"""The order of the steps, as a table."""

from itertools import product

import pytest

from idp.login.steps import Standing, Step, next_step

PASSWORD = frozenset({"password"})


@pytest.mark.parametrize(
    ("standing", "step"),
    [
        (Standing(), Step.IDENTIFY),
        (Standing(is_named=True), Step.PASSWORD),
        (Standing(is_named=True, wants_context=True), Step.PASSWORD),
        (Standing(is_named=True, proven=PASSWORD), Step.DONE),
        (Standing(is_named=True, is_signed_in=True), Step.DONE),
        (Standing(is_named=True, proven=PASSWORD, wants_context=True), Step.SELECT),
        (Standing(is_named=True, is_signed_in=True, wants_context=True), Step.SELECT),
        (Standing(is_named=True, is_signed_in=True, wants_context=True, has_context=True), Step.DONE),
        (Standing(is_named=True, wants_context=True, has_context=True), Step.PASSWORD),
        (Standing(is_signed_in=True, proven=PASSWORD, has_context=True), Step.IDENTIFY),
    ],
)
def test_what_is_asked_next(standing: Standing, step: Step) -> None:
    assert next_step(standing) is step


@pytest.mark.rule("SES-02")
def test_nothing_is_done_before_somebody_was_named_and_proved_something() -> None:
    for named, signed_in, proven, wants, has in product((False, True), repeat=5):
        standing = Standing(named, signed_in, PASSWORD if proven else frozenset(), wants, has)
        if next_step(standing) in (Step.SELECT, Step.DONE):
            assert named
            assert signed_in or proven
        if next_step(standing) is Step.DONE:
            assert has or not wants
