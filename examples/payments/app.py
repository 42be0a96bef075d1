"""The API: what each route needs stands above it, in one line. That line is all there is to deciding."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any, Final, TypeAlias

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, HTTPException

from examples.payments import seed
from examples.payments.ledgers import Ledger, Ledgers, Movement, Request
from examples.payments.orders import charge_order, payout_order, refund_order
from examples.payments.problems import NotFound, Problem
from idp_verifier import Verifier
from idp_verifier.flask import Guard, account_named

Json: TypeAlias = dict[str, Any]

LONGEST_BODY: Final = 16_384
"""Bytes of a body that are read."""

LONGEST_PAGE: Final = 100
"""Movements that are listed at once."""

REMEDIES: Final = {
    404: "There is nothing at this address: GET / lists what there is.",
    405: "This is not what one does here: GET / lists what there is.",
    413: f"Send at most {LONGEST_BODY} bytes.",
}


def create_app(verifier: Verifier) -> Flask:
    """The API, which lets in whom `verifier` vouches for."""
    app = Flask("payments")
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
    guard = Guard(verifier, app)
    ledgers = Ledgers(seed.ledger)

    # Whoever may

    @app.get("/balance")
    @guard.requires("balance.read", scope="payments")
    def balance() -> Json:
        left = [{"amount": amount, "currency": currency} for currency, amount in ledger().balance().items()]
        return {"object": "balance", "available": left, "livemode": guard.principal.livemode}

    @app.get("/charges")
    @app.get("/payments")
    @guard.requires("payments.read", scope="payments")
    def charges() -> Json:
        return page(ledger().charges())

    @app.post("/charges")
    @guard.requires("payments.write", scope="payments")
    def charge() -> ResponseReturnValue:
        order = charge_order(body())
        return once(lambda ledger, by: ledger.charge(order, by=by))

    @app.post("/refunds")
    @guard.requires("refunds.write", scope="payments")
    def refund() -> ResponseReturnValue:
        order = refund_order(body())
        return once(lambda ledger, by: ledger.refund(order, by=by))

    @app.get("/payouts")
    @guard.requires("payouts.read", scope="payments")
    def payouts() -> Json:
        return page(ledger().payouts())

    @app.post("/payouts")
    @guard.requires("payouts.write", scope="payments", acr="aal2", max_age=300)
    def payout() -> ResponseReturnValue:
        order = payout_order(body())
        return once(lambda ledger, by: ledger.pay_out(order, by=by))

    # Anybody

    @app.get("/")
    def about() -> Json:
        routes = sorted(
            f"{method} {rule.rule}"
            for rule in app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
            if rule.endpoint != "static"
        )
        return {"name": "Payments", "audience": verifier.audience, "issuer": verifier.issuer, "routes": routes}

    @app.get("/healthz")
    def healthz() -> Json:
        return {"status": "ok"}

    # What they share

    def ledger() -> Ledger:
        """That of the account that the token is for, or of the one in the header, which the guard has checked."""
        account = guard.principal.account_id or account_named()
        if not account:
            raise Problem("The token is for a whole organization: name an account.", parameter="Canopy-Account")
        return ledgers.of(account, livemode=guard.principal.livemode)

    def once(act: Callable[[Ledger, str], Movement]) -> ResponseReturnValue:
        """What `act` did; a repetition of the request, with the same `Idempotency-Key`, does nothing more."""
        of, by = ledger(), guard.principal
        sent = Request(by.client_id, request.path, sha256(request.get_data()).digest())
        return asdict(of.once(idempotency_key(), sent, lambda: act(of, by.subject))), 201

    app.register_error_handler(Problem, lambda problem: (problem.body(), problem.status))
    app.register_error_handler(HTTPException, answer)
    app.after_request(close)
    return app


def body() -> object:
    """The JSON that was sent. Raises `Problem`."""
    if not request.is_json:
        raise Problem("Send JSON, and say so: Content-Type: application/json.", parameter="Content-Type")
    try:
        sent: object = request.get_json()
    except (BadRequest, RecursionError):
        raise Problem("The body is no JSON that can be read.") from None
    return sent


def idempotency_key() -> str:
    """The key of the request; empty if it has none. Raises `Problem`."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > 255 or not key.isascii() or not key.isprintable():
        raise Problem("Send up to 255 printable characters of ASCII.", parameter="Idempotency-Key")
    return key


def page(movements: Sequence[Movement]) -> Json:
    """Those after `starting_after`, at most `limit` (1 to 100; 10) of them. Raises `Problem`."""
    limit, after = request.args.get("limit", "10"), request.args.get("starting_after", "")
    if not limit.isdecimal() or len(limit) > 3 or not 1 <= int(limit) <= LONGEST_PAGE:
        raise Problem(f"Send a number from 1 to {LONGEST_PAGE}.", parameter="limit")
    ids = [movement.id for movement in movements]
    if after and after not in ids:
        raise NotFound("There is no such object in this account.", parameter="starting_after")
    begin = ids.index(after) + 1 if after else 0
    shown = movements[begin : begin + int(limit)]
    return {"object": "list", "data": [asdict(one) for one in shown], "has_more": begin + len(shown) < len(movements)}


def answer(error: HTTPException) -> ResponseReturnValue:
    """What Flask refuses by itself, in the form of everything else."""
    code = error.name.lower().replace(" ", "_")
    allowed = {name: value for name, value in error.get_headers() if name == "Allow"}
    return (
        {"error": code, "error_description": REMEDIES.get(error.code or 500, error.description or "")},
        error.code or 500,
        allowed,
    )


def close(response: Response) -> Response:
    """Nobody keeps an answer, or takes it for anything but JSON."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
