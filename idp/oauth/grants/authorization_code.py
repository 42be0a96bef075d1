"""The authorization code grant (RFC 6749 §4.1.3) with PKCE (RFC 7636 §4.6)."""

import hmac

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oauth2.rfc7636.challenge import CODE_VERIFIER_PATTERN

from idp.clients.registered import RegisteredClient
from idp.oauth import audiences, authorizations, codes, contexts, refresh_tokens, single_use
from idp.oauth.codes import StoredCode
from idp.oauth.errors import InvalidGrant, WrongProof
from idp.oauth.issuance import Issuance
from idp.oauth.token_request import TokenRequest
from idp.platform import clock

REFRESH = "refresh_token"
"""The grant type of clients that get a refresh token with every code."""


def redeem_code(request: TokenRequest, client: RegisteredClient) -> Issuance:
    """What the code stands for. Inside `database.writing()`.

    A code of another client and one that was used before end what came of it; shown with wrong proof it is used up;
    where something is missing or tokens cannot be for what is named, it is not.
    """
    code = codes.find(request.require("code"))
    if code is None:
        raise InvalidGrant("the code is not valid")
    single_use.spend(code, by=client)
    _require_proof(request, code)
    authorization = authorizations.find_live(code.authorization_id)
    if authorization is None:
        raise InvalidGrant("the authorization has ended")
    return Issuance(
        client=client,
        authorization=authorization,
        scope=authorization.scope,
        audience=audiences.meant_still(request.resources, authorization.resources, client),
        entered=contexts.enter_again(authorization, client, request.context()),
        nonce=code.nonce or "",
        refresh_token=refresh_tokens.begin(authorization, client) if REFRESH in client.grant_types else "",
        code=request.require("code"),
    )


def _require_proof(request: TokenRequest, code: StoredCode) -> None:
    """Raise `WrongProof` (kept) unless whoever shows the code is the one who asked for it; nothing is used up where a
    parameter is missing (COD-05, PKC-03).
    """
    redirect_uri, verifier = request.get("redirect_uri"), request.get("code_verifier")
    if not redirect_uri:
        raise InvalidGrant("redirect_uri is missing")
    if code.code_challenge and not verifier:
        raise InvalidGrant("code_verifier is missing")
    if code.expires_at <= clock.now():
        raise WrongProof("the code has expired")
    if redirect_uri != code.redirect_uri:
        raise WrongProof("redirect_uri differs from that of the authorization request")
    if not _answers(verifier, code.code_challenge):
        raise WrongProof("code_verifier does not match the code_challenge of the authorization request")


def _answers(verifier: str, challenge: str | None) -> bool:
    """Whether the verifier is that of the challenge; without a challenge there must be none (PKC-04)."""
    if challenge is None:
        return not verifier
    if not CODE_VERIFIER_PATTERN.fullmatch(verifier):
        return False
    return hmac.compare_digest(create_s256_code_challenge(verifier), challenge)
