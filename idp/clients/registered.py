"""A client as every request to the authorization server sees it: one value. Which may act: `oauth.active_clients`."""

import functools
from dataclasses import dataclass
from typing import Final

from idp.clients import metadata
from idp.clients.clients import ClientContext
from idp.clients.metadata import NOTHING, Json, Metadata
from idp.clients.models import OPERATOR, Client


@dataclass(frozen=True)
class RegisteredClient:
    """A client that may act. `metadata`: what is registered, completed by the defaults (`metadata.with_defaults`)."""

    id: str
    owner: str
    name: str
    metadata: Metadata
    context: ClientContext
    first_party: bool

    def texts(self, name: str) -> tuple[str, ...]:
        """The strings of a registered list; none where nothing is registered."""
        value = self.metadata.get(name)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    def text(self, name: str) -> str:
        """A registered string; empty where nothing is registered."""
        value = self.metadata.get(name)
        return value if isinstance(value, str) else ""

    def says(self, name: str) -> bool:
        """Whether a registered flag is set."""
        return self.metadata.get(name) is True

    @property
    def grant_types(self) -> tuple[str, ...]:
        """What the client may present at the token endpoint."""
        return self.texts("grant_types")

    @property
    def redirect_uris(self) -> tuple[str, ...]:
        """Where answers may be sent, to the byte."""
        return self.texts("redirect_uris")

    @property
    def auth_method(self) -> str:
        """The one way in which the client authenticates (`token_endpoint_auth_method`)."""
        return self.text("token_endpoint_auth_method")

    @property
    def is_public(self) -> bool:
        """Whether the client has no credential of its own (RFC 6749 §2.1)."""
        return self.auth_method == NOTHING

    @property
    def serves(self) -> frozenset[str]:
        """The audiences of the APIs that the client is; the operator's word, which holds for its own clients alone."""
        return frozenset(self.texts("serves")) if self.owner == OPERATOR else frozenset()

    @property
    def sector(self) -> str:
        """What pairwise subjects of the client are for (OpenID Connect Core §8.1); empty: subjects are public.

        Addresses that are not a host's alone, of an application's own scheme or on a loopback host, make no sector: the
        client is one by itself.
        """
        if self.text("subject_type") != "pairwise":
            return ""
        sector = self.text("sector_identifier_uri")
        hosts = metadata.hosts_of([sector] if sector else self.redirect_uris)
        return hosts.pop() if len(hosts) == 1 and "" not in hosts else self.id


@dataclass(frozen=True)
class Row:
    """What the tables hold of a client, in the order of `COLUMNS`."""

    id: str
    owner: str
    name: str
    metadata_json: str
    context: str
    context_organization_id: str | None
    context_account_id: str | None
    first_party: int

    def value(self) -> RegisteredClient:
        """The client as requests see it."""
        return RegisteredClient(
            self.id,
            self.owner,
            self.name,
            _completed(self.metadata_json),
            ClientContext(self.context, self.context_organization_id, self.context_account_id),
            bool(self.first_party),
        )


@functools.lru_cache(maxsize=1_000)
def _completed(stored: str) -> dict[str, Json]:
    """Parsed once per text; whoever gets it changes nothing in it."""
    return metadata.with_defaults(metadata.load(stored))


COLUMNS: Final = (
    Client.id,
    Client.owner,
    Client.name,
    Client.metadata_json,
    Client.context,
    Client.context_organization_id,
    Client.context_account_id,
    Client.first_party,
)
