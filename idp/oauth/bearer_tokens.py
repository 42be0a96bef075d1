"""How a protected resource of ours is shown an access token, and how it says no (RFC 6750)."""

from idp.oauth.errors import InsufficientScope, InvalidRequest, InvalidToken, OAuthError
from idp.platform.calls import FORM, Call
from idp.platform.errors import Refusal

_REALM = 'Bearer realm="canopy"'
_PARAMETER = "access_token"


class TokenMissing(InvalidToken):
    """No access token was shown, or not where we look for one."""

    title = "An access token is needed"
    remedy = "Send it in the Authorization header."


def presented(call: Call) -> str:
    """The access token that `call` shows, in the header (§2.1) or in a form (§2.2).

    One in the address is not even read (§2.3 is not supported: addresses are logged). Raises `TokenMissing`, and
    `InvalidRequest` when more than one is shown.
    """
    found = [token for token in (_in_header(call), _in_form(call)) if token]
    if len(found) > 1 or (found and _stands_in_address(call)):
        raise InvalidRequest("The access token was sent in more than one way.")
    if not found:
        raise TokenMissing
    return found[0]


def challenge(refusal: Refusal) -> tuple[tuple[str, str], ...]:
    """The header that tells what was wrong with the token (§3); no error, where none was shown (§3.1)."""
    if not isinstance(refusal, InvalidToken | InsufficientScope | InvalidRequest):
        return ()
    said = "" if isinstance(refusal, TokenMissing) else _said(refusal)
    return (("WWW-Authenticate", f"{_REALM}{said}"),)


def _said(refusal: OAuthError) -> str:
    return f', error="{refusal.code}", error_description="{refusal.message}"'


def _in_header(call: Call) -> str:
    scheme, _, token = call.header("Authorization").partition(" ")
    return token.strip(" ") if scheme.lower() == "bearer" else ""


def _in_form(call: Call) -> str:
    sent = call.header("Content-Type").partition(";")[0].strip().lower()
    return (call.form.get(_PARAMETER) or "") if call.method == "POST" and sent == FORM else ""


def _stands_in_address(call: Call) -> bool:
    return call.parameters.get(_PARAMETER) is not None
