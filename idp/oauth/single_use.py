"""Spend once, or revoke the family: what a code or refresh token in the wrong hands leads to.

Whoever presents something a second time, or something of another client, shows that it is in two hands. Nobody can
tell which of them is the thief's, so everything that came of the authorization ends (RFC 6749 §4.1.2, RFC 9700
§4.14.2).
"""

from dataclasses import dataclass

from idp.audit import trail
from idp.audit.trail import Actor
from idp.clients.registered import RegisteredClient
from idp.oauth import authorizations, codes
from idp.oauth.codes import StoredCode
from idp.oauth.errors import WrongProof


@dataclass(frozen=True)
class Family:
    """What hangs on one authorization, and whose it is."""

    authorization_id: str
    client_id: str
    user_id: str
    organization_id: str | None


def spend(code: StoredCode, *, by: RegisteredClient) -> None:
    """Use the code up, whatever else is wrong with what it came with. Inside `database.writing()`.

    The conditional UPDATE makes concurrent uses agree on one winner. Raises `WrongProof` when the code was used
    before (its family ends) or is another client's (COD-01): both are kept.
    """
    family = Family(code.authorization_id, code.client_id, code.user_id, code.organization_id)
    if not codes.use(code):
        raise revoke(family, by=by, presented="used code")
    if code.client_id != by.id:
        raise revoke(family, by=by, presented="code of another client")


def revoke(family: Family, *, by: RegisteredClient, presented: str) -> WrongProof:
    """End the family because `by` showed what nobody may show; the refusal to raise. Inside `database.writing()`.

    One event a family: what is over is not told again, however often somebody tries.
    """
    actor = Actor("client", by.id)
    if authorizations.end(family.authorization_id, because="reused", by=actor):
        trail.record(
            "authorization.reuse",
            by=actor,
            subject=family.user_id,
            organization=family.organization_id,
            after={"authorization": family.authorization_id, "client": family.client_id, "presented": presented},
        )
    return WrongProof("what was presented was used before, or belongs to another client")
