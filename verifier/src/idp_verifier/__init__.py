"""What a downstream service installs to decide whether an access token of Canopy allows a call.

It will own verifying a token's signature, type, issuer, audience and age, following the change feed so that a role
taken away is refused within a second, and the `Principal` that a service asks for its permissions. It leaves issuing,
and every decision about who holds what, to the provider, from which it shares no code: it speaks to it over HTTP
alone, and depends on as little as can be. Its door is this package.
"""

__version__ = "0.1.0"
