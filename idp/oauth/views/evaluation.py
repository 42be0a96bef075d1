"""`/access/v1/evaluation` and `/access/v1/evaluations` (AuthZEN Authorization API 1.0), for APIs."""

import re
from functools import wraps
from typing import Final

from flask import Flask

from idp.oauth import discovery, evaluation
from idp.oauth.views import machine
from idp.oauth.views.authentication import authenticate_server
from idp.oauth.views.phrase import phrase
from idp.platform.access import public
from idp.platform.calls import Answer, Call
from idp.platform.errors import Refusal
from idp.platform.lane import Rule

_REPEATABLE: Final = re.compile(r"[\x21-\x7e]{1,200}")


def init(app: Flask) -> None:
    """Serve the endpoints in `app`."""
    for name, rule in (("access_evaluation_endpoint", evaluate), ("access_evaluations_endpoint", evaluate_all)):
        machine.mount(app, discovery.EVALUATION[name], _repeating(rule), phrase=refuse)


@public
def evaluate(call: Call) -> Answer:
    """The answer to the one question in the body."""
    api = authenticate_server(call)
    return Answer.json(evaluation.answer(call.json, api))


@public
def evaluate_all(call: Call) -> Answer:
    """The answers to the questions in the body."""
    api = authenticate_server(call)
    return Answer.json(evaluation.answer_all(call.json, api))


def refuse(refusal: Refusal, call: Call) -> Answer:
    """As every endpoint does, under the id that the request has."""
    return _under_its_id(phrase(refusal, call), call)


def _repeating(rule: Rule) -> Rule:
    @wraps(rule)
    def answer(call: Call) -> Answer:
        return _under_its_id(rule(call), call)

    return answer


def _under_its_id(answer: Answer, call: Call) -> Answer:
    """With the `X-Request-ID` that the service gave the request (§10.1.3), which is not what our own records say."""
    offered = str(call.environ.get("canopy.offered_request_id", ""))
    return answer.with_headers(("X-Request-ID", offered)) if _REPEATABLE.fullmatch(offered) else answer
