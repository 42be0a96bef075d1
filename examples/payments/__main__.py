"""`python -m examples.payments`: the API on http://localhost:8002, for the provider of `./run demo`.

Settings, all of them for another place than the demo: `--port`, and in the environment `PAYMENTS_ISSUER`,
`PAYMENTS_AUDIENCE`, `PAYMENTS_CLIENT_ID` and `PAYMENTS_CLIENT_SECRET`.
"""

import argparse
import contextlib
import os
import signal
from types import FrameType

from werkzeug.serving import WSGIRequestHandler, make_server

from examples.payments.app import create_app
from idp_verifier import Verifier


class Handler(WSGIRequestHandler):
    """Waits for nobody forever, logs nothing, and does not say what it is made of."""

    timeout = 30

    def version_string(self) -> str:
        """The value of `Server`."""
        return "payments"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The answers tell enough for a demo."""


def main() -> None:
    """Serve until SIGINT or SIGTERM. Prints `READY <address>` once it answers."""
    parser = argparse.ArgumentParser(prog="python -m examples.payments", description="A small Stripe-style API.")
    parser.add_argument("--port", type=int, default=8002, help="where to listen on loopback")
    port: int = parser.parse_args().port
    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(KeyboardInterrupt), verifier() as following:
        server = make_server("127.0.0.1", port, create_app(following), threaded=True, request_handler=Handler)
        print(f"READY http://localhost:{port}", flush=True)
        server.serve_forever()


def verifier() -> Verifier:
    """The verifier of this service. Without settings, everything is as in `config/demo.yaml`."""
    return Verifier(
        os.environ.get("PAYMENTS_ISSUER", "http://localhost:8000"),
        os.environ.get("PAYMENTS_AUDIENCE", "http://localhost:8002"),
        client_id=os.environ.get("PAYMENTS_CLIENT_ID", "app_payments"),
        client_secret=os.environ.get("PAYMENTS_CLIENT_SECRET", "demo-secret-of-the-payments-api"),
    )


def stop(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
