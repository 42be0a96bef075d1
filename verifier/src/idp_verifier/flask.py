"""For services in Flask: a decorator that stands before each view, and the answers to what is refused."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import Flask, g, jsonify, request
from flask.typing import ResponseReturnValue

from idp_verifier.bearer import token_in
from idp_verifier.principal import Principal
from idp_verifier.refusals import Refusal
from idp_verifier.verifier import Verifier

ACCOUNT_HEADER = "Canopy-Account"
"""Names the account concerned, where the token is for a whole organization."""

P = ParamSpec("P")
R = TypeVar("R")


def account_named() -> str:
    """The account that the request names in its header; empty if none. It is checked before it is believed."""
    return request.headers.get(ACCOUNT_HEADER, "")


class Guard:
    """Verifies the bearer token of each request to a view that it guards.

    `principal` is whoever calls. Refusals, of guards and views, are answered as RFC 6750 and RFC 9470 say. Where a
    decorator stands outside of the route, so that nobody would be asked, requests end in `RuntimeError`.
    """

    def __init__(self, verifier: Verifier, app: Flask) -> None:
        self._verifier, self._app = verifier, app
        self._inside: set[Callable[..., object]] = set()
        app.register_error_handler(Refusal, answer)
        app.before_request(self._require_order)

    @property
    def principal(self) -> Principal:
        """Who calls. Outside of a guarded view there is nobody: raises `AttributeError`."""
        principal: Principal = g.canopy_principal
        return principal

    def requires(
        self,
        permission: str = "",
        *,
        scope: str = "",
        role: str = "",
        account: Callable[[], str] = account_named,
        acr: str = "",
        max_age: int | None = None,
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator for views, below that of the route: nobody gets in without a token that allows it (see
        `Principal.require`).

        `account`: tells which account the request concerns. `acr` and `max_age`: what the person has to have proved,
        and at most how many seconds ago.
        """

        def decorate(view: Callable[P, R]) -> Callable[P, R]:
            self._inside.add(view)

            @functools.wraps(view)
            def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
                principal = self._admitted()
                principal.require(permission, account=account(), scope=scope, role=role)
                if acr or max_age is not None:
                    principal.require_proof(acr=acr, max_age=max_age)
                g.canopy_principal = principal
                return view(*args, **kwargs)

            return guarded

        return decorate

    def _require_order(self) -> None:
        if self._app.view_functions.get(request.endpoint or "") in self._inside:
            raise RuntimeError(f"the route of {request.endpoint} stands below its guard: nobody would be asked")

    def _admitted(self) -> Principal:
        raw = token_in(request.headers.getlist("Authorization"))
        return self._verifier.verify(raw, reads=request.method in ("GET", "HEAD"))


def answer(refusal: Refusal) -> ResponseReturnValue:
    """The response to a refusal."""
    response = jsonify(refusal.body())
    response.status_code = refusal.status
    response.headers.update(refusal.headers())
    return response
