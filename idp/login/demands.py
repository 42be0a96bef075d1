"""Demands: what whoever sends a browser here wants to be true when it comes back."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from idp.organizations.policies import METHODS
from idp.platform import clock

CONTEXTS = ("none", "organization", "account", "any")
"""What has to be chosen: nothing, an organization, an account, or either."""


@dataclass(frozen=True)
class Demand:
    """`fresh`: everything has to be proven anew, whoever is signed in. `max_age`: the last proof is not older
    (microseconds). `acr`: `aal1`, `aal2` or `phr` to aim at, or empty: what a person cannot reach they are offered
    to set up, and may decline. `least`: the same that has to be reached. `login_hint` fills the first field in.
    `methods`: what counts towards both levels. `spares`: a browser that the person trusts counts as second factor.

    `person`: the id of who has to sign in, where nobody else will do. `context`: one of `CONTEXTS`, chosen within
    `organizations` (ids) if that is given; `forced`: shown also where there is only one. `told_as`: the query
    parameter in which the way back is told the choice; empty: it asks `transactions.outcome`.
    `targets`: origins or schemes that the way back may lead on to, for the `form-action` of our pages.
    """

    fresh: bool = False
    max_age: int | None = None
    acr: str = ""
    least: str = ""
    methods: tuple[str, ...] = METHODS
    spares: bool = False
    login_hint: str = ""
    person: str = ""
    context: str = "none"
    organizations: tuple[str, ...] | None = None
    forced: bool = False
    told_as: str = ""
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.context not in CONTEXTS:
            raise ValueError(f"{self.context!r} is not a kind of context")

    def is_recent(self, authenticated_at: int) -> bool:
        """Whether a last proof that was given then is young enough."""
        return self.max_age is None or clock.now() - authenticated_at <= self.max_age

    def admits(self, user_id: str) -> bool:
        """Whether that person may complete what this is asked of."""
        return self.person in ("", user_id)

    def is_within(self, organization_id: str) -> bool:
        """Whether something in that organization may be chosen."""
        return self.organizations is None or organization_id in self.organizations

    def wants_context(self) -> bool:
        """Whether an organization or account has to be chosen."""
        return self.context != "none"

    def dump(self) -> str:
        """The text under which this is stored."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, stored: str) -> "Demand":
        """What was stored as `stored`."""
        values: dict[str, Any] = json.loads(stored)
        texts: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}
        return cls(**texts)
