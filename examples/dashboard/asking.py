"""Requests to the provider and to the API: theirs alone, whatever the environment says."""

from typing import Any

import requests

TIMEOUT = 5.0
"""Seconds for an answer."""


def ask(method: str, address: str, **what: Any) -> requests.Response:
    """The answer to a request, `what` being as for `requests`. Raises `requests.RequestException`.

    A proxy of the environment would be shown tokens and the secret, and a `.netrc` would replace the token.
    """
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, address, timeout=TIMEOUT, **what)
