"""What is wrong with a request that its caller was allowed to make."""

from typing import ClassVar


class Problem(Exception):
    """An expected "no" that has nothing to do with permissions. `message` tells the caller what to do.

    `parameter`: the member of the body, or the header, that it is about; empty if it is about none.
    """

    code: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 400

    def __init__(self, message: str, *, parameter: str = "") -> None:
        super().__init__(message)
        self.message, self.parameter = message, parameter

    def body(self) -> dict[str, str]:
        """The body of the answer, in the form in which the verifier refuses."""
        told = {"error": self.code, "error_description": self.message, "parameter": self.parameter}
        return {name: value for name, value in told.items() if value}


class NotFound(Problem):
    """There is no such thing in this account; whether there is one in another, is not told."""

    code = "not_found"
    status = 404


class Conflict(Problem):
    """What is there does not allow it."""

    code = "conflict"
    status = 409


class KeyReused(Problem):
    """The idempotency key stood before another request (draft-ietf-httpapi-idempotency-key-header §2.7)."""

    code = "idempotency_key_reused"
    status = 422
