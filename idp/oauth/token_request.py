"""What is asked of the token endpoint (RFC 6749 §3.2), parsed once."""

from dataclasses import dataclass

from idp.oauth import contexts
from idp.oauth.errors import InvalidRequest
from idp.organizations.effective import Context
from idp.platform.calls import Call
from idp.platform.forms import Fields


@dataclass(frozen=True)
class TokenRequest:
    """A request for tokens. `scope`: what is asked for, none if nothing is said. `resources`: RFC 8707 §2.2."""

    grant_type: str
    scope: tuple[str, ...]
    resources: tuple[str, ...]
    fields: Fields

    @classmethod
    def parse(cls, call: Call) -> "TokenRequest":
        """The request that `call` makes. Raises `InvalidRequest`, and what reading a form raises.

        A parameter stands once, but for `resource` and `audience`; one without a value counts as not sent (§3.2).
        """
        refuse_query(call)
        fields = Fields(tuple((name, value) for name, value in call.form.pairs if value))
        return cls(
            grant_type=require(fields, "grant_type"),
            scope=tuple(dict.fromkeys((fields.get("scope") or "").split())),
            resources=tuple(dict.fromkeys(fields.all("resource"))),
            fields=fields,
        )

    def get(self, name: str) -> str:
        """The value of a parameter; empty when it was not sent."""
        return self.fields.get(name) or ""

    def require(self, name: str) -> str:
        """The value of a parameter that the grant cannot do without. Raises `InvalidRequest`."""
        return require(self.fields, name)

    def context(self) -> Context | None:
        """The organization or account that tokens shall speak for, if one is named. Raises `InvalidRequest`."""
        return contexts.asked(self.get("organization"), self.get("account"), self.scope)


def require(fields: Fields, name: str) -> str:
    """The value of `name`. Raises `InvalidRequest` when there is none."""
    value = fields.get(name)
    if not value:
        raise InvalidRequest(f"{name} is missing")
    return value


def refuse_query(call: Call) -> None:
    """Raise `InvalidRequest` if anything stands in the address (HTT-07): secrets are sent, addresses are logged."""
    if call.query:
        raise InvalidRequest("parameters belong in the body, not in the address")
