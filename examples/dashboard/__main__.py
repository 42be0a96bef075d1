"""`python -m examples.dashboard`: Ledger on http://localhost:8001, for the provider of `./run demo`.

Settings in the environment: see `settings`. It keeps visits in memory, so there is one process.
"""

import argparse
import os
import signal
import sys
from types import FrameType

from werkzeug.serving import WSGIRequestHandler, make_server

from examples.dashboard.app import create_app
from examples.dashboard.settings import from_environment


class Handler(WSGIRequestHandler):
    """Waits for nobody forever, and logs nothing."""

    timeout = 30

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The pages tell enough for a demo."""


def main() -> None:
    """Serve until SIGINT or SIGTERM. Prints `READY <address>` once it answers."""
    parser = argparse.ArgumentParser(prog="python -m examples.dashboard", description="An example application.")
    parser.add_argument("--port", type=int, default=8001, help="where to listen on loopback")
    port: int = parser.parse_args().port
    signal.signal(signal.SIGTERM, stop)
    settings = from_environment(os.environ)
    try:
        server = make_server("127.0.0.1", port, create_app(settings), threaded=True, request_handler=Handler)
        print(f"READY {settings.address}", flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


def stop(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
