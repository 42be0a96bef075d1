"""What this provider can do (OpenID Connect Discovery §3, RFC 8414 §2, AuthZEN 1.0 §9), from the tables that run.

Nothing is listed here by hand that stands in a table elsewhere: what is built appears, and what is not cannot.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from idp.clients.metadata import NOTHING, SIGNING_ALGORITHMS
from idp.keys.material import ALGORITHMS
from idp.oauth import claims
from idp.oauth.authorize import DISPLAYS, PROMPTS, RULES, request_objects_are_not_used
from idp.oauth.client_authentication import METHODS
from idp.oauth.responses import MODES
from idp.oauth.scopes import SCOPES
from idp.oauth.token import GRANTS
from idp.platform import i18n, memory
from idp.platform.settings import settings
from idp.platform.strict_json import Json
from idp.sessions import levels

CACHE_CONTROL: Final = "public, max-age=3600"

AUTHENTICATION_CLAIMS: Final = ("acr", "amr", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub")
"""Claims of ID tokens that say how, when and by whom somebody signed in."""

ENDPOINTS: Final = {
    "authorization_endpoint": "/oauth2/authorize",
    "token_endpoint": "/oauth2/token",
    "userinfo_endpoint": "/oauth2/userinfo",
    "introspection_endpoint": "/oauth2/introspect",
    "revocation_endpoint": "/oauth2/revoke",
    "end_session_endpoint": "/oauth2/logout",
    "jwks_uri": "/.well-known/jwks.json",
}

EVALUATION: Final = {
    "access_evaluation_endpoint": "/access/v1/evaluation",
    "access_evaluations_endpoint": "/access/v1/evaluations",
}
"""Where services ask for decisions, by the names of AuthZEN."""


@dataclass(frozen=True)
class Document:
    """The document, and its entity tag with the quotes."""

    body: bytes
    etag: str


class _Memory:
    """Of one application: the documents, which change only with the release and the settings."""

    def __init__(self) -> None:
        self.provider = _rendered(metadata())
        self.decision_point = _rendered(decision_point_metadata())


def _rendered(told: dict[str, Json]) -> Document:
    body = json.dumps(told, separators=(",", ":")).encode()
    return Document(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def document() -> Document:
    """The metadata of this provider, rendered once."""
    return memory.of(_Memory).provider


def decision_point() -> Document:
    """Where services ask for decisions, rendered once."""
    return memory.of(_Memory).decision_point


def decision_point_metadata() -> dict[str, Json]:
    """The metadata of a policy decision point (AuthZEN Authorization API 1.0 §9.1)."""
    issuer = settings().issuer
    return {"policy_decision_point": issuer, **{name: f"{issuer}{path}" for name, path in EVALUATION.items()}}


def metadata() -> dict[str, Json]:
    """The metadata of this provider."""
    issuer = settings().issuer
    return {
        "issuer": issuer,
        **{name: f"{issuer}{path}" for name, path in ENDPOINTS.items()},
        **_requests(),
        **_tokens(),
        **_authentication(),
        "ui_locales_supported": list(i18n.LOCALES),
    }


def _requests() -> dict[str, Json]:
    """What may be asked at the authorization endpoint."""
    takes_objects = request_objects_are_not_used not in RULES
    return {
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": list(MODES),
        "prompt_values_supported": list(PROMPTS),
        "display_values_supported": list(DISPLAYS),
        "code_challenge_methods_supported": ["S256"],
        "claims_parameter_supported": True,
        "request_parameter_supported": takes_objects,
        "request_uri_parameter_supported": takes_objects,
        "authorization_response_iss_parameter_supported": True,
    }


def _tokens() -> dict[str, Json]:
    """What tokens say, and how they are signed."""
    return {
        "grant_types_supported": list(GRANTS),
        "subject_types_supported": ["public", "pairwise"],
        "acr_values_supported": list(levels.LEVELS),
        "claim_types_supported": ["normal"],
        "claims_supported": [*AUTHENTICATION_CLAIMS, *claims.SUPPORTED, *claims.OF_CONTEXT],
        "id_token_signing_alg_values_supported": list(ALGORITHMS["id_token"]),
        "userinfo_signing_alg_values_supported": list(ALGORITHMS["id_token"]),
    }


def _authentication() -> dict[str, Json]:
    """How clients prove who they are, at each endpoint that asks for it."""
    told: dict[str, Json] = {}
    for endpoint in ("token", "revocation", "introspection"):
        methods = [one for one in METHODS if one != NOTHING or endpoint != "introspection"]
        told[f"{endpoint}_endpoint_auth_methods_supported"] = list(methods)
        if any(one.endswith("_jwt") for one in methods):
            told[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = list(SIGNING_ALGORITHMS)
    return told
