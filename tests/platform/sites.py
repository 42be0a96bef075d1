"""A provider to knock at, with a few doors of its own that rooms do not have."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from flask import Flask, Response, jsonify, request
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from idp.app import create_app
from idp.platform import database, lane
from idp.platform.access import for_programs, public
from idp.platform.calls import Answer, Call
from idp.platform.errors import Conflict, Invalid
from idp.platform.logging import _Handler
from idp.platform.settings import Settings
from tests.databases import SECRET_KEY

PAGE = {"Accept": "text/html"}
PROGRAM = {"Accept": "application/json"}


@dataclass
class Site:
    """A provider under test and a client that knocks at it. `secret` is what its doors know and must not tell."""

    app: Flask
    client: FlaskClient
    secret: str = field(default="hunter2-correct-horse")


@contextmanager
def site(folder: Path, **given: object) -> Iterator[Site]:
    """A provider on an empty database in `folder` (if `given` names no other), configured by `given`."""
    place = f"sqlite:///{folder}/site.db"
    values = {"issuer": "http://localhost:8000", "database_url": place, "secret_key": (SECRET_KEY,)} | given
    app = create_app(Settings(**values))  # type: ignore[arg-type]
    found = Site(app, app.test_client())
    _add_doors(found)
    try:
        yield found
    finally:
        with app.app_context():
            database.db.engine.dispose()
        root = logging.getLogger()
        root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Handler)]


def _add_doors(site: Site) -> None:
    @public
    def boom() -> Response:
        password = site.secret
        raise RuntimeError(f"SELECT * FROM users WHERE password = '{password}' -- /srv/secret/place.py")

    @public
    def away() -> Response:
        raise OperationalError("SELECT 1", {"token": site.secret}, psycopg.OperationalError("server closed"))

    @public
    def conflict() -> Response:
        raise Conflict("Olivia <b>is</b> the owner")

    @public
    def invalid() -> Response:
        raise Invalid("is not a name", field="name")

    @public
    @for_programs
    def form() -> Response:
        return jsonify(list(request.form.items(multi=True)))

    @public
    @for_programs
    def body() -> Response:
        return jsonify(request.get_json())

    @public
    def query() -> Response:
        return jsonify(list(request.args.items(multi=True)))

    for view, methods in ((boom, ["GET"]), (away, ["GET"]), (conflict, ["GET"]), (invalid, ["GET"]),
                          (form, ["POST"]), (body, ["POST"]), (query, ["GET"])):  # fmt: skip
        site.app.add_url_rule(f"/probe/{view.__name__}", view_func=view, methods=methods)
    site.app.add_url_rule("/api/boom", "api_boom", boom)
    lane.mount(site.app, "/probe/machine", machine, methods=("POST",))


@public
def machine(call: Call) -> Answer:
    """A machine endpoint that says what it was told."""
    if call.form.get("fail"):
        raise RuntimeError("as it was asked to")
    return Answer.json({"form": call.form.pairs, "query": call.parameters.pairs, "address": call.address})


def lines(captured: str) -> list[dict[str, object]]:
    """Log lines as values."""
    return [json.loads(line) for line in captured.splitlines()]
