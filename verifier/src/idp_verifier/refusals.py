"""Every reason for which a call is refused, and how it is told to the caller (RFC 6750 §3, RFC 9470 §3)."""

import re
from collections.abc import Mapping
from typing import ClassVar, Final

_NOT_QUOTABLE: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
"""What may not stand between quotes in a challenge (RFC 6750 §3)."""


class Refusal(Exception):
    """An expected "no". `status` is that of HTTP; `error` the code of RFC 6750 or RFC 9470, if there is one."""

    status: ClassVar[int] = 403
    error: ClassVar[str] = ""
    is_challenge: ClassVar[bool] = True

    def __init__(self, description: str = "", **parameters: str) -> None:
        """`description` is for the developer of the client; `parameters` go into the challenge as they are named."""
        super().__init__(description)
        self.description = description
        self.parameters: Mapping[str, str] = parameters

    def challenge(self) -> str:
        """The value of `WWW-Authenticate`; empty where another token would not help."""
        if not self.is_challenge:
            return ""
        told = {"error": self.error, "error_description": self.description, **self.parameters}
        pairs = [f'{name}="{_NOT_QUOTABLE.sub(" ", value)}"' for name, value in told.items() if value]
        return " ".join(("Bearer", ", ".join(pairs))).strip()

    def headers(self) -> dict[str, str]:
        """The headers of the answer, beside those of its body."""
        challenge = self.challenge()
        return {"Cache-Control": "no-store"} | ({"WWW-Authenticate": challenge} if challenge else {})

    def body(self) -> dict[str, str]:
        """The body of the answer, a JSON object."""
        told = {"error": self.error, "error_description": self.description, **self.parameters}
        return {name: value for name, value in told.items() if value}


class NoToken(Refusal):
    """The call carries no token: the challenge says no more than that one is needed (RFC 6750 §3.1)."""

    status = 401

    def body(self) -> dict[str, str]:
        """What a developer, who tries without, has to know."""
        return {"error_description": "Send an access token: Authorization: Bearer TOKEN."}


class InvalidRequest(Refusal):
    """The call carries something that is no bearer token, or several."""

    status = 400
    error = "invalid_request"


class InvalidToken(Refusal):
    """The token is not one of ours for this API, has expired, or no longer stands."""

    status = 401
    error = "invalid_token"


class Superseded(InvalidToken):
    """Something was taken away since the token was issued. The client refreshes once, spread over 0 to 2 seconds."""

    def __init__(self) -> None:
        super().__init__("superseded")


class InsufficientScope(Refusal):
    """The token's scope does not cover the call, whatever the roles allow (RFC 6750 §3.1)."""

    error = "insufficient_scope"


class Forbidden(Refusal):
    """The roles do not allow the call in the account concerned. Another token of the same person would not help."""

    error = "access_denied"
    is_challenge = False


class InsufficientAuthentication(Refusal):
    """The person has to prove more, or again: the client sends `acr_values` and `max_age` to authorize (RFC 9470)."""

    status = 401
    error = "insufficient_user_authentication"


class Unavailable(Refusal):
    """Nobody can say just now whether the token stands: neither yes nor no, ask again."""

    status = 503
    error = "temporarily_unavailable"
    is_challenge = False
    retry_after: ClassVar[int] = 1

    def headers(self) -> dict[str, str]:
        """With the seconds after which it is worth asking again."""
        return super().headers() | {"Retry-After": str(self.retry_after)}
