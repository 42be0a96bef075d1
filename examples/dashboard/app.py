"""The pages of Ledger: who is not signed in is asked to be; all others see their token, and what it is good for."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import requests
from authlib.integrations.base_client.errors import OAuthError
from flask import Flask, Response, abort, flash, redirect, render_template, request, session
from flask.typing import ResponseReturnValue

from examples.dashboard import places, renewal, shown, wording
from examples.dashboard.provider import Provider, Refused
from examples.dashboard.settings import Settings
from examples.dashboard.tokens import Json
from examples.dashboard.visits import Visit, Visits

WISHES: Final = ("organization", "account", "prompt", "acr_values", "max_age", "login_hint")
"""Parameters of ours that are handed on to the authorization endpoint."""

LONGEST_BODY: Final = 16_384
"""Bytes of a form that are read."""


def create_app(settings: Settings) -> Flask:
    """The application, for the provider and the API that `settings` name."""
    app = Flask("ledger", root_path=__file__.rpartition("/")[0])
    app.config.update(SECRET_KEY=secrets.token_bytes(32), SESSION_COOKIE_NAME="ledger", SESSION_COOKIE_SAMESITE="Lax")
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
    app.config["SESSION_COOKIE_SECURE"] = settings.address.startswith("https:")
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    provider, visits = Provider(app, settings), Visits()

    @app.get("/")
    def overview() -> ResponseReturnValue:
        """What the token says, and what came of every call, just now."""
        with visits.alone(key()) as visit:
            if visit is None:
                return render_template("welcome.html", settings=settings)
            look = renewal.look(provider, settings.payments, visit)
            visits.keep(key(), replace(look.visit, allowed=shown.allowed(look.tried)))
        return render_template("overview.html", settings=settings, **shown.everything(look, visit.allowed))

    # In and out

    @app.get("/login")
    def login() -> ResponseReturnValue:
        wishes = {name: request.args[name] for name in WISHES if request.args.get(name)}
        session["asked_for"] = wishes.get("acr_values", "")
        return provider.send_there(**wishes)

    @app.get("/callback")
    def callback() -> ResponseReturnValue:
        tokens = provider.take_back()
        asked_for = session.get("asked_for", "")
        visits.end(key())
        session.clear()
        who = provider.about(tokens)
        visit = Visit(called(who), str(who.get("preferred_username", "")), tokens, provider.places(tokens))
        session.update(visit=visits.begin(visit), csrf=secrets.token_urlsafe(16))
        if wording.falls_short(tokens.claims, asked_for):
            flash(f"You came back with what you had proved before: {wording.factors(tokens.claims).lower()}.")
        return redirect("/", 303)

    @app.post("/logout")
    def logout() -> ResponseReturnValue:
        visit = visits.end(key())
        session.clear()
        return provider.sign_out(visit.tokens) if visit else redirect("/signed-out", 303)

    @app.get("/signed-out")
    def signed_out() -> ResponseReturnValue:
        return render_template("welcome.html", settings=settings, signed_out=True)

    # From place to place

    @app.post("/switch")
    def switch() -> ResponseReturnValue:
        """By refresh, without a browser; by way of the provider where it has to ask the person something first."""
        with visits.alone(key()) as visit:
            if visit is None:
                return redirect("/", 303)
            session["asked_for"] = ""
            place = places.named(visit.places, request.form.get("place", "")) or abort(404)
            try:
                visits.keep(key(), renewal.entered(provider, visit, place))
            except Refused as refused:
                if refused.context_is_lost:
                    flash(f"There is nothing left that you may do in {place.name}.")
                    return redirect("/", 303)
                account = {"account": place.account_id} if place.account_id else {}
                return provider.send_there(organization=place.organization_id, **account, **refused.proof)
        return redirect("/", 303)

    # What they share

    def key() -> str:
        found: str = session.get("visit", "")
        return found

    @app.get("/healthz")
    def healthz() -> ResponseReturnValue:
        return {"status": "ok"}

    @app.before_request
    def at_home() -> ResponseReturnValue | None:
        """Cookies and redirects belong to one name: who came by another, like 127.0.0.1, is sent to it."""
        if request.host_url.rstrip("/") == settings.address or request.path == "/healthz":
            return None
        return redirect(settings.address) if request.method == "GET" else abort(400)

    @app.before_request
    def from_our_own_page() -> None:
        """A form of another site knows nothing of what stands in ours."""
        sent, known = request.form.get("csrf_token", ""), session.get("csrf", "")
        if request.method == "POST" and not (known and hmac.compare_digest(sent.encode(), known.encode())):
            abort(400, "This page was open for too long. Go back, load it again, and repeat what you did.")

    @app.errorhandler(OAuthError)
    def refused(error: OAuthError) -> ResponseReturnValue:
        told = shown.refusal(str(error.error or ""), str(error.description or ""))
        return render_template("problem.html", settings=settings, problem=told), 400

    @app.errorhandler(requests.RequestException)
    def away(error: requests.RequestException) -> ResponseReturnValue:
        return render_template("problem.html", settings=settings, problem=shown.AWAY), 503, {"Retry-After": "1"}

    @app.errorhandler(400)
    @app.errorhandler(404)
    def not_here(error: Exception) -> ResponseReturnValue:
        code = getattr(error, "code", 400)
        return render_template("problem.html", settings=settings, problem=shown.not_here(error)), code

    @app.after_request
    def closed(response: Response) -> Response:
        """Nothing from elsewhere, no scripts; forms lead here, and on to the provider."""
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {settings.issuer}"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return app


def called(who: Mapping[str, Json]) -> str:
    """What to call somebody."""
    return str(who.get("given_name") or who.get("name") or who.get("preferred_username") or "")
