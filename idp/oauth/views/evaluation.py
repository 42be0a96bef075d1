"""`/access/v1/evaluation` and `/access/v1/evaluations` (AuthZEN Authorization API 1.0), for APIs."""

from flask import Flask

from idp.oauth import evaluation
from idp.oauth.views import machine
from idp.oauth.views.authentication import authenticate_server
from idp.platform.access import public
from idp.platform.calls import Answer, Call


def init(app: Flask) -> None:
    """Serve the endpoints in `app`."""
    machine.mount(app, "/access/v1/evaluation", evaluate)
    machine.mount(app, "/access/v1/evaluations", evaluate_all)


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
