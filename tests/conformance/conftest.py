"""A provider that really listens, for relying parties that others wrote."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from idp.app import create_app
from idp.cli import start
from idp.platform.settings import Settings
from tests import databases
from tests.databases import SECRET_KEY
from tests.login.conftest import made
from tests.oauth.actors import Browser


class _Silent(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@pytest.fixture
def listening(database_url: str) -> Iterator[Flask]:
    """The provider at `http://localhost:<port>`, which is its issuer, with Olivia in it."""
    with socket.create_server(("localhost", 0)) as reserved:
        port = reserved.getsockname()[1]
    given = {"issuer": f"http://localhost:{port}", "database_url": database_url, "secret_key": (SECRET_KEY,)}
    app = create_app(Settings(**given))
    start.make_ready(app)
    server = make_server("localhost", port, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with app.app_context():
            made("olivia", email="olivia@northwind.test", given_name="Olivia", family_name="Lund")
            yield app
            databases.dispose()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        with app.app_context():
            databases.dispose()


@pytest.fixture
def issuer(listening: Flask) -> str:
    return f"http://{listening.config['SERVER_NAME']}"


@pytest.fixture
def person(listening: Flask) -> Browser:
    """Olivia's browser."""
    return Browser(listening)
