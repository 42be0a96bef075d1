"""The bearer token of a request (RFC 6750 §2.1): in the header, once; never in a form or an address."""

import re
from collections.abc import Sequence

from idp_verifier.refusals import InvalidRequest, NoToken

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def token_in(headers: Sequence[str]) -> str:
    """The token in the values of all `Authorization` headers of a request. Raises `NoToken` and `InvalidRequest`."""
    if len(headers) > 1:
        raise InvalidRequest("The request has several Authorization headers.")
    scheme, _, token = (headers[0] if headers else "").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise NoToken
    if not _TOKEN.fullmatch(token.strip()):
        raise InvalidRequest("The Authorization header holds no bearer token.")
    return token.strip()
