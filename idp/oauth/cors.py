"""Which scripts may call and read the answers: those of registered origins, or anybody's where all is public (INT-09).

Never with credentials of the browser: `Access-Control-Allow-Credentials` is not sent, and none of these endpoints
looks at a cookie. Pages have no such headers at all.
"""

from collections.abc import Callable
from functools import wraps

from idp.clients import origins
from idp.platform.calls import Answer, Call
from idp.platform.lane import Endpoint, Rule

Headers = tuple[tuple[str, str], ...]
Policy = Callable[[Call], Headers]

PREFLIGHT = "OPTIONS"
REMEMBERED = 600
"""Seconds that a browser goes by a preflight."""


def anybody(_: Call) -> Headers:
    """Every origin, also an opaque one: what is answered is public, and no credentials are taken."""
    return (("Access-Control-Allow-Origin", "*"),)


def registered(call: Call) -> Headers:
    """The origin that calls, if an enabled client has registered it (`cors_origins`). `null` is nobody's."""
    origin = call.header("Origin")
    vary = ("Vary", "Origin")
    if not origin or not origins.is_registered(origin):
        return (vary,)
    return (vary, ("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", "WWW-Authenticate"))


def readable_by(policy: Policy, endpoint: Endpoint) -> Rule:
    """`endpoint`, its answers and refusals readable by scripts as `policy` says; preflights are answered here."""

    @wraps(endpoint.rule)
    def answer(call: Call) -> Answer:
        headers = policy(call)
        if call.method == PREFLIGHT:
            return _preflight(endpoint.methods, headers)
        return endpoint(call).with_headers(*headers)

    return answer


def _preflight(methods: tuple[str, ...], headers: Headers) -> Answer:
    """What may be sent (Fetch §4.8); nothing, where no origin is named."""
    answer = Answer(204, b"").with_headers(("Allow", ", ".join((*methods, PREFLIGHT))), *headers)
    if "Access-Control-Allow-Origin" not in dict(headers):
        return answer
    return answer.with_headers(
        ("Access-Control-Allow-Methods", ", ".join(methods)),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type"),
        ("Access-Control-Max-Age", str(REMEMBERED)),
    )
