"""RFC 7636, proof key for code exchange, at the token endpoint: one test a MUST, named by section."""

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.oauth.actors import RelyingParty, challenge
from tests.oauth.decisions import VERIFIER, code_for, decide, redemption, shop, somebody

APPENDIX_B = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture
def public(app: Flask) -> RelyingParty:
    return shop(app, "public", public=True)


@pytest.fixture
def code(public: RelyingParty) -> str:
    return code_for(decide(somebody(), public.id), public.id, code_challenge=APPENDIX_B)


def error(answer: TestResponse) -> str:
    assert answer.status_code == 400, answer.text
    return str(answer.get_json()["error"])


def test_rfc7636_4_6_the_verifier_of_the_challenge_brings_tokens(public: RelyingParty, code: str) -> None:
    assert challenge(VERIFIER) == APPENDIX_B
    assert public.token(**redemption(code)).status_code == 200


def test_rfc7636_4_6_wrong_verifier_is_invalid_grant(public: RelyingParty, code: str) -> None:
    assert error(public.token(**redemption(code, code_verifier="x" * 43))) == "invalid_grant"


def test_rfc7636_4_6_missing_verifier_is_invalid_grant(public: RelyingParty, code: str) -> None:
    assert error(public.token(**redemption(code, code_verifier=None))) == "invalid_grant"


def test_rfc7636_4_6_the_challenge_is_no_verifier(public: RelyingParty, code: str) -> None:
    assert error(public.token(**redemption(code, code_verifier=APPENDIX_B))) == "invalid_grant"


@pytest.mark.parametrize("length", [1, 42, 129, 1_000])
def test_rfc7636_4_1_a_verifier_has_43_to_128_characters(public: RelyingParty, length: int) -> None:
    verifier = "v" * length
    code = code_for(decide(somebody(), public.id), public.id, code_challenge=challenge(verifier))
    assert error(public.token(**redemption(code, code_verifier=verifier))) == "invalid_grant"


@pytest.mark.parametrize("length", [43, 128])
def test_rfc7636_4_1_the_shortest_and_the_longest_are_taken(public: RelyingParty, length: int) -> None:
    verifier = ("aZ0-._~" * 20)[:length]
    code = code_for(decide(somebody(), public.id), public.id, code_challenge=challenge(verifier))
    assert public.token(**redemption(code, code_verifier=verifier)).status_code == 200
