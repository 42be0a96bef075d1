"""Errors of OAuth and OpenID Connect: one class per wire error (RFC 6749 §4.1.2.1, §5.2; OpenID Connect Core §3.1.2.6).

The door that was knocked at phrases them: JSON at the machine endpoints, a redirect from the authorization endpoint.
"""

from idp.platform.errors import Refusal


class OAuthError(Refusal):
    """`code` is the wire value of `error`; `message` becomes `error_description` (ASCII, RFC 6749 §5.2).

    `error_detail` narrows `code` down to a word of ours (`not_a_member`, `context_lost`, …) that programs may read.
    """

    code = "invalid_request"
    status = 400
    title = "The request was not valid"
    remedy = "If you were sent here by an application, tell its maker what is said here."

    def __init__(self, message: str = "", *, error_detail: str = "") -> None:
        super().__init__(message)
        self.error_detail = error_detail

    def body(self) -> dict[str, str]:
        """What programs are told."""
        told = {"error": self.code, "error_description": self.message, "error_detail": self.error_detail}
        return {name: value for name, value in told.items() if value}


class InvalidRequest(OAuthError):
    """A parameter is missing, sent twice, or cannot be understood."""


_NOT_AUTHENTICATED = (
    "client_id or credentials are missing or wrong, or they are not of the method that is registered for the client"
)
"""All that it can be, in one breath: which of them it was is not told."""


class InvalidClient(OAuthError):
    """The client did not prove who it is. Nothing tells an unknown client from a wrong secret (CLI-01).

    `challenge`: what `WWW-Authenticate` says, if it is to be said (RFC 6749 §5.2).
    """

    code = "invalid_client"
    status = 401
    title = "The client could not be authenticated"
    remedy = "Check the client id, its credentials, and the method that is registered for it."

    def __init__(self, message: str = "", *, error_detail: str = "", challenge: str = "") -> None:
        super().__init__(message or _NOT_AUTHENTICATED, error_detail=error_detail)
        self.challenge = challenge


class InvalidGrant(OAuthError):
    """What should prove an authorization does not, or does no longer."""

    code = "invalid_grant"
    title = "The grant is not valid"
    remedy = "Send the person to the authorization endpoint again."


class WrongProof(InvalidGrant):
    """What was presented is used up all the same: the door commits before it refuses."""

    keeps = True


class UnauthorizedClient(OAuthError):
    """The client is not registered for this."""

    code = "unauthorized_client"
    title = "This client may not do this"


class UnsupportedGrantType(OAuthError):
    """There is no such grant type here."""

    code = "unsupported_grant_type"
    title = "This grant type is not supported"


class UnsupportedResponseType(OAuthError):
    """There is no such response type here: codes are the only answer."""

    code = "unsupported_response_type"
    title = "This response type is not supported"


class InvalidScope(OAuthError):
    """A scope that was not granted, or cannot be."""

    code = "invalid_scope"
    title = "This scope cannot be granted"


class InvalidTarget(OAuthError):
    """A resource, organization or account that tokens cannot be for (RFC 8707 §2)."""

    code = "invalid_target"
    title = "Tokens for this target cannot be issued"


class AccessDenied(OAuthError):
    """The person, or a policy, said no."""

    code = "access_denied"
    status = 403
    title = "Access was denied"


class LoginRequired(OAuthError):
    """Somebody has to sign in, and must not be asked."""

    code = "login_required"
    title = "Signing in is required"


class InteractionRequired(OAuthError):
    """The person has to decide or prove something, and must not be asked."""

    code = "interaction_required"
    title = "An answer of the person is required"


class ConsentRequired(OAuthError):
    """The person has to agree, and must not be asked."""

    code = "consent_required"
    title = "Consent is required"


class UnmetAuthenticationRequirements(OAuthError):
    """An essential `acr` was not met, even though the person was asked (its own OpenID Connect extension)."""

    code = "unmet_authentication_requirements"
    title = "The demanded way of signing in was not met"


class InsufficientUserAuthentication(OAuthError):
    """The context asks for more proof; the grant stays good (an extension of ours, RFC 6749 §8.5).

    `acr_values`, `max_age`: what to send to the authorization endpoint.
    """

    code = "insufficient_user_authentication"
    title = "The person has to prove more"

    def __init__(self, message: str = "", *, error_detail: str = "", acr_values: str = "", max_age: str = "") -> None:
        super().__init__(message, error_detail=error_detail)
        self.acr_values, self.max_age = acr_values, max_age

    def body(self) -> dict[str, str]:
        """With what to ask for."""
        more = {"acr_values": self.acr_values, "max_age": self.max_age}
        return super().body() | {name: value for name, value in more.items() if value}


class RequestNotSupported(OAuthError):
    """Request objects are not supported (OpenID Connect Core §6.1)."""

    code = "request_not_supported"
    title = "Request objects are not supported"


class RequestUriNotSupported(OAuthError):
    """Request objects by reference are not supported (OpenID Connect Core §6.2)."""

    code = "request_uri_not_supported"
    title = "Requests by reference are not supported"


class InvalidToken(OAuthError):
    """The access token is malformed, expired, revoked, superseded, or not for this resource (RFC 6750 §3.1)."""

    code = "invalid_token"
    status = 401
    title = "The access token is not valid"
    remedy = "Get a new token."


class InsufficientScope(OAuthError):
    """The access token does not cover this (RFC 6750 §3.1)."""

    code = "insufficient_scope"
    status = 403
    title = "The access token does not cover this"
    remedy = "Ask for a token with the scope that is needed."
