"""The order of the steps, as a table; and what must hold of every standing there could be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.login.offering import offers_passkey
from idp.login.steps import Standing, Step, is_stuck, next_step, ways
from idp.sessions.levels import LEVELS, rank

NOBODY = frozenset[str]()
PASSWORD = frozenset({"password"})
APP = frozenset({"password", "totp"})
CODES = APP | {"recovery_code"}
PASSKEY = frozenset({"passkey"})
BOTH = frozenset({"password", "passkey"})
EVERYTHING = CODES | PASSKEY
MAIL = frozenset({"email_code"})
NO_MAIL = APP | PASSKEY | {"recovery_code", "sso"}
"""Methods among which codes by mail are not."""


def named(proven: frozenset[str] = NOBODY, held: frozenset[str] = PASSWORD, **more: object) -> Standing:
    return Standing(is_named=True, proven=proven, held=held, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("standing", "step"),
    [
        (Standing(), Step.IDENTIFY),
        (Standing(proven=PASSWORD, has_context=True), Step.IDENTIFY),
        (named(), Step.PASSWORD),
        (named(wants_context=True), Step.PASSWORD),
        (named(wants_context=True, has_context=True), Step.PASSWORD),
        (named(PASSWORD), Step.DONE),
        (named(PASSWORD, wants_context=True), Step.SELECT),
        (named(PASSWORD, wants_context=True, has_context=True), Step.DONE),
        # whoever has a second factor shows it
        (named(PASSWORD, APP), Step.VERIFY),
        (named(APP, APP), Step.DONE),
        (named(frozenset({"password", "recovery_code"}), CODES), Step.DONE),
        (named(PASSWORD, APP, is_trusted=True), Step.DONE),
        (named(PASSKEY, EVERYTHING), Step.DONE),
        (named(PASSWORD, BOTH), Step.VERIFY),
        # a level that is aimed at
        (named(PASSWORD, aim="aal2"), Step.ENROL),
        (named(PASSWORD, aim="aal2", has_declined=True), Step.DONE),
        (named(PASSWORD, APP, aim="aal2", is_trusted=True), Step.VERIFY),
        (named(APP, APP, aim="phr"), Step.ENROL),
        (named(APP, APP, aim="phr", has_declined=True), Step.DONE),
        (named(APP, EVERYTHING, aim="phr"), Step.VERIFY),
        (named(PASSKEY, EVERYTHING, aim="phr"), Step.DONE),
        (named(PASSWORD, aim="gold"), Step.DONE),
        # a level that has to be reached
        (named(PASSWORD, least="aal2", has_declined=True), Step.ENROL),
        (named(PASSWORD, least="aal2", may_enrol=False), Step.PASSWORD),
        (named(APP, APP, least="phr", may_enrol=False), Step.VERIFY),
        (named(PASSWORD, APP, least="aal2", is_trusted=True, spares=True), Step.DONE),
        (named(PASSWORD, APP, least="aal2", is_trusted=True), Step.VERIFY),
        (named(PASSWORD, BOTH, least="phr", is_trusted=True, spares=True), Step.VERIFY),
        # methods that do not count
        (named(PASSWORD, APP, least="aal1", methods=PASSKEY), Step.VERIFY),
        (named(APP, APP, least="aal1", methods=PASSKEY), Step.ENROL),
        (named(PASSKEY, EVERYTHING, least="aal2", methods=APP), Step.VERIFY),
        (named(PASSKEY | {"totp"}, EVERYTHING, least="aal2", methods=APP), Step.PASSWORD),
        # something has to be proven anew
        (named(PASSWORD, is_stale=True), Step.PASSWORD),
        (named(APP, APP, is_stale=True), Step.VERIFY),
        (named(APP, APP, is_stale=True, is_trusted=True), Step.VERIFY),
        # codes by mail, and what cannot be given now
        (named(PASSWORD, PASSWORD | MAIL), Step.VERIFY),
        (named(PASSWORD | MAIL, PASSWORD | MAIL), Step.DONE),
        (named(PASSWORD | MAIL, PASSWORD | MAIL, least="aal2", methods=NO_MAIL), Step.ENROL),
        (named(PASSWORD, out_of_reach=MAIL), Step.VERIFY),
        (named(PASSWORD, CODES, out_of_reach=MAIL), Step.VERIFY),
        (named(APP, APP, out_of_reach=MAIL), Step.DONE),
        (named(PASSWORD, out_of_reach=MAIL, is_trusted=True), Step.DONE),
        (named(PASSWORD, out_of_reach=MAIL, is_trusted=True, least="aal2"), Step.VERIFY),
        (named(PASSWORD, out_of_reach=MAIL, is_trusted=True, must_renew=True), Step.VERIFY),
        (named(PASSWORD, out_of_reach=MAIL, is_stale=True), Step.PASSWORD),
        (named(MAIL, out_of_reach=MAIL), Step.PASSWORD),
        # a password that proves nobody alone
        (named(PASSWORD, must_renew=True), Step.RENEW),
        (named(PASSWORD, APP, must_renew=True), Step.VERIFY),
        (named(APP, APP, must_renew=True, least="phr"), Step.RENEW),
        # an offer comes when nothing is missing, and before anything is chosen
        (named(PASSWORD, is_offered=True, wants_context=True), Step.OFFER),
        (named(PASSWORD, is_offered=True, may_enrol=False), Step.OFFER),
        (named(is_offered=True), Step.PASSWORD),
        (named(PASSWORD, APP, is_offered=True), Step.VERIFY),
        (named(PASSWORD, is_offered=True, must_renew=True), Step.RENEW),
        (named(PASSWORD, is_offered=True, aim="aal2"), Step.ENROL),
    ],
)
def test_what_is_asked_next(standing: Standing, step: Step) -> None:
    assert next_step(standing) is step


@pytest.mark.parametrize(
    ("standing", "found"),
    [
        (named(PASSWORD, EVERYTHING), ("passkey", "totp", "recovery_code")),
        (named(APP, EVERYTHING, aim="phr"), ("passkey",)),
        (named(PASSWORD, CODES, methods=APP), ("totp", "recovery_code")),
        (named(APP, EVERYTHING, is_stale=True), ("passkey", "totp", "recovery_code")),
        (named(PASSKEY, EVERYTHING, is_stale=True, least="aal2"), ("passkey", "totp", "recovery_code")),
        (named(PASSKEY, EVERYTHING, is_stale=True, least="phr"), ("passkey",)),
        (named(APP, CODES, is_stale=True, least="phr"), ("totp", "recovery_code")),
        (named(PASSWORD), ()),
        (named(PASSWORD, EVERYTHING | MAIL), ("passkey", "totp", "email_code", "recovery_code")),
        (named(PASSWORD, CODES | MAIL, methods=NO_MAIL), ("totp", "recovery_code")),
        (named(PASSWORD, PASSWORD | MAIL | {"recovery_code"}, methods=NO_MAIL), ("email_code", "recovery_code")),
        (named(PASSWORD, CODES, out_of_reach=MAIL), ("totp", "recovery_code")),
    ],
)
def test_the_ways_that_help(standing: Standing, found: tuple[str, ...]) -> None:
    assert ways(standing) == found


@pytest.mark.parametrize(
    ("standing", "is_offered"),
    [
        (named(PASSWORD), True),
        (named(PASSWORD, wants_context=True), True),
        (named(APP, APP), True),
        (named(PASSWORD, least="aal1"), True),
        (Standing(proven=PASSWORD, held=PASSWORD), False),
        (named(), False),
        (named(frozenset({"sso"})), False),
        (named(PASSKEY, BOTH), False),
        (named(BOTH, BOTH), False),
        (named(PASSWORD, APP), False),
        (named(PASSWORD, APP, is_trusted=True, may_enrol=False), False),
        (named(PASSWORD, methods=APP), False),
        (named(PASSWORD, is_stale=True), False),
        (named(PASSWORD, must_renew=True), False),
        (named(PASSWORD, aim="phr"), False),
        (named(PASSWORD, least="phr"), False),
        (named(PASSWORD, aim="aal2", has_declined=True), False),
        (named(PASSWORD, is_offered=True), False),
    ],
)
def test_a_passkey_is_offered_where_nothing_else_is_asked(standing: Standing, is_offered: bool) -> None:
    assert offers_passkey(standing) is is_offered


METHODS = st.frozensets(st.sampled_from(["password", "totp", "recovery_code", "passkey", "email_code"]))
LEVEL = st.sampled_from(["", *LEVELS, "gold"])
STANDINGS = st.builds(
    Standing,
    proven=METHODS,
    held=METHODS,
    methods=METHODS,
    out_of_reach=st.sampled_from([NOBODY, MAIL]),
    aim=LEVEL,
    least=st.sampled_from(["", *LEVELS]),
    **{name: st.booleans() for name in (
        "is_named", "is_stale", "is_trusted", "may_enrol", "must_renew", "spares", "has_declined", "wants_context",
        "has_context", "is_offered",
    )},
)  # fmt: skip


@pytest.mark.rule("SES-02")
@pytest.mark.rule("TOT-05")
@pytest.mark.rule("TOT-06")
@pytest.mark.rule("TOT-07")
@given(STANDINGS)
def test_nothing_is_done_before_all_of_it_was_proven(standing: Standing) -> None:
    step = next_step(standing)
    if step in (Step.OFFER, Step.SELECT, Step.DONE):
        assert standing.is_named
        assert standing.level
        assert not standing.is_stale
        is_spared = standing.is_trusted and standing.spares and standing.counting == "aal1" and standing.least == "aal2"
        assert rank(standing.counting) >= rank(standing.least) or is_spared
        assert not standing.has_second_factor or standing.is_trusted or rank(standing.level) >= rank("aal2")
    if step is Step.DONE:
        assert standing.has_context or not standing.wants_context


@pytest.mark.rule("TOT-05")
@pytest.mark.rule("TOT-08")
@given(STANDINGS)
def test_nothing_is_set_up_before_everything_that_would_help_was_proven(standing: Standing) -> None:
    if next_step(standing) is Step.ENROL:
        assert standing.may_enrol
        assert standing.level
        assert not standing.has_second_factor or standing.is_trusted or rank(standing.level) >= rank("aal2")
        assert rank(standing.counting) >= rank(standing.reachable) or standing.is_spared


@given(STANDINGS)
def test_whatever_is_asked_can_be_given(standing: Standing) -> None:
    """No circle: a second factor is asked for only where there is one, or where somebody else has to help."""
    if next_step(standing) is Step.VERIFY:
        assert ways(standing) or is_stuck(standing)
        assert set(ways(standing)) <= standing.held
