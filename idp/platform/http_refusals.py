"""What HTTP itself refuses, before or instead of a rule: requests that cannot be read, and routes that are none."""

from idp.platform.errors import NotFound, Refusal


class Malformed(Refusal):
    """The request cannot be understood (RFC 9110 §15.5.1)."""

    code = "malformed_request"
    status = 400
    title = "The request cannot be understood"
    remedy = "Go back, reload the page and try again."


class WrongHost(Refusal):
    """The request names a host that is not ours (RFC 9110 §15.5.20)."""

    code = "wrong_host"
    status = 421
    title = "This service is known under another address"
    remedy = "Use the address that you were given for signing in."


class NoSuchPage(NotFound):
    """No route has this address."""

    code = "no_such_page"
    title = "There is no page at this address"
    remedy = "Check the address, or start again at the application that you wanted to use."


class WrongMethod(Refusal):
    """The route exists and does not take this method (RFC 9110 §15.5.6); `allowed` are those that it takes."""

    code = "method_not_allowed"
    status = 405
    title = "This address does not work that way"
    remedy = "Start again at the application that you wanted to use."

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(f"Allowed here: {', '.join(allowed)}." if allowed else "")
        self.allowed = allowed


class TooLarge(Refusal):
    """The body is larger than this route takes (RFC 9110 §15.5.14)."""

    code = "content_too_large"
    status = 413
    title = "What was sent is too large"
    remedy = "Send less at once."


class AddressTooLong(Refusal):
    """The request target is longer than we read (RFC 9110 §15.5.15)."""

    code = "address_too_long"
    status = 414
    title = "The address is too long"
    remedy = "Start again at the application that you wanted to use."


class WrongMediaType(Refusal):
    """The body has a type that this route does not read (RFC 9110 §15.5.16)."""

    code = "unsupported_media_type"
    status = 415
    title = "What was sent has a type that cannot be read here"
    remedy = "Send it as the type that the documentation names."


class HeadersTooLarge(Refusal):
    """The header block is larger than we read (RFC 6585 §5)."""

    code = "headers_too_large"
    status = 431
    title = "The browser sent more than can be read"
    remedy = "Delete the cookies of this site and try again."


class Unauthenticated(Refusal):
    """No credentials, or none that count (RFC 9110 §15.5.2); `challenge` tells programs which to show."""

    code = "unauthenticated"
    status = 401
    title = "You are not signed in for this"
    remedy = "Sign in, or send the credentials that the documentation names."
    challenge = "Bearer"


class Bug(Refusal):
    """Something that should not happen happened; whoever asked learns nothing but the reference."""

    code = "internal_error"
    status = 500
    title = "An unexpected error happened on our side"
    remedy = "Try again. If it happens again, tell the people who run this service the reference."
