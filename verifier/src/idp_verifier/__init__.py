"""What a downstream service installs to decide whether an access token of Canopy allows a call.

It owns verifying a token's signature, type, issuer, audience and age, following the change feed so that a role taken
away is refused within a second, and the `Principal` that a service asks for its permissions. It leaves issuing, and
every decision about who holds what, to the provider, from which it shares no code: it speaks to it over HTTP alone, and
depends on as little as can be. Its door is this package; `idp_verifier.flask` and `idp_verifier.asgi` are for services
in these.
"""

from idp_verifier.accounts import Account
from idp_verifier.clocks import Clocks
from idp_verifier.principal import Principal
from idp_verifier.refusals import (
    Forbidden,
    InsufficientAuthentication,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    NoToken,
    Refusal,
    Superseded,
    Unavailable,
)
from idp_verifier.verifier import Verifier

__all__ = [
    "Account",
    "Clocks",
    "Forbidden",
    "InsufficientAuthentication",
    "InsufficientScope",
    "InvalidRequest",
    "InvalidToken",
    "NoToken",
    "Principal",
    "Refusal",
    "Superseded",
    "Unavailable",
    "Verifier",
]

__version__ = "0.1.0"
