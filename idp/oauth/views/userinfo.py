"""`/oauth2/userinfo` (OpenID Connect Core §5.3): GET and POST, the token in the header or in a form."""

from flask import Flask

from idp.oauth import bearer_tokens, userinfo
from idp.oauth.issuance import signed_userinfo
from idp.oauth.views import machine
from idp.oauth.views.phrase import phrase
from idp.platform.access import public
from idp.platform.calls import Answer, Call
from idp.platform.errors import Refusal

JWT = "application/jwt"


def init(app: Flask) -> None:
    """Serve the endpoint in `app`."""
    machine.mount(app, "/oauth2/userinfo", tell, methods=("GET", "POST"), phrase=refuse)


@public
def tell(call: Call) -> Answer:
    """The claims that the token releases; signed, if that is what is registered for its client (§5.3.2)."""
    told = userinfo.tell(bearer_tokens.presented(call))
    if told.client.text("userinfo_signed_response_alg"):
        return Answer(200, signed_userinfo(told.client, told.claims).encode(), JWT)
    return Answer.json(told.claims)


def refuse(refusal: Refusal, call: Call) -> Answer:
    """As every endpoint does, and with the challenge of RFC 6750 §3."""
    return phrase(refusal, call).with_headers(*bearer_tokens.challenge(refusal))
