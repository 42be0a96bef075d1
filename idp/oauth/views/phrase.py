"""How machine endpoints tell a no: as JSON (RFC 6749 §5.2), whatever it is that refuses."""

import re
from typing import Final

from idp.oauth.errors import InvalidClient, OAuthError
from idp.platform.calls import Answer, Call
from idp.platform.errors import Refusal
from idp.platform.http_refusals import TooLarge, WrongMethod

PRAGMA: Final = ("Pragma", "no-cache")
"""For what was written before `Cache-Control` (RFC 6749 §5.1); every answer says `no-store` besides."""

_UNSPEAKABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def phrase(refusal: Refusal, _: Call) -> Answer:
    """`refusal` in the words of RFC 6749: what the client did wrong is 400 unless HTTP has a better number."""
    body = refusal.body() if isinstance(refusal, OAuthError) else _in_words_of_oauth(refusal)
    body["error_description"] = _UNSPEAKABLE.sub("'", body.get("error_description", ""))
    return Answer.json(body, _status(refusal)).with_headers(PRAGMA, *_headers(refusal))


def as_resource(refusal: Refusal, call: Call) -> Answer:
    """`refusal` as `phrase` does; but that something is not there, or not any more, keeps its own word and number."""
    if refusal.status not in (404, 410):
        return phrase(refusal, call)
    return Answer.json({"error": refusal.code, "error_description": refusal.message}, refusal.status)


def _in_words_of_oauth(refusal: Refusal) -> dict[str, str]:
    """What is no error of OAuth: requests that cannot be read, and what goes wrong on our side."""
    error = "invalid_request" if refusal.status < 500 else _ON_OUR_SIDE.get(refusal.status, "server_error")
    return {"error": error, "error_description": refusal.message}


_ON_OUR_SIDE = {503: "temporarily_unavailable"}


def _status(refusal: Refusal) -> int:
    speaks_for_itself = isinstance(refusal, OAuthError | WrongMethod | TooLarge) or refusal.status >= 500
    return refusal.status if speaks_for_itself else 400


def _headers(refusal: Refusal) -> list[tuple[str, str]]:
    headers = []
    if isinstance(refusal, WrongMethod):
        headers.append(("Allow", ", ".join(refusal.allowed)))
    if isinstance(refusal, InvalidClient) and refusal.challenge:
        headers.append(("WWW-Authenticate", refusal.challenge))
    if retry_after := getattr(refusal, "retry_after", None):
        headers.append(("Retry-After", str(retry_after)))
    return headers
