"""What is registered about a client: every name that may stand there, with what it may say.

The names are those of RFC 7591, OpenID Connect Registration and its logout specifications, RFC 9126, 9449, 8705, 9101
and 9396; and ours. A name that is not here is refused, and so is a value that this provider would not act upon
(implicit and password grants, unsigned tokens, secrets that would have to be readable).
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from idp.clients import public_keys, redirect_uris
from idp.platform import strict_json
from idp.platform.errors import Invalid

Json = strict_json.Json
"""A JSON value."""

Metadata = Mapping[str, Json]
"""Registered metadata by name; texts for people may carry a language tag (`client_name#ja`, RFC 7591 §2.2)."""

CODE: Final = "authorization_code"
GRANT_TYPES: Final = (
    CODE,
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
)
SECRET_METHODS: Final = ("client_secret_basic", "client_secret_post")
"""Ways to authenticate with a secret; `client_secret_jwt` is none, for it would take secrets that can be read back."""

MTLS: Final = "tls_client_auth"
NOTHING: Final = "none"
AUTH_METHODS: Final = (*SECRET_METHODS, "private_key_jwt", MTLS, "self_signed_tls_client_auth", NOTHING)
SIGNING_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
CERTIFICATE_NAMES: Final = (
    "tls_client_auth_subject_dn",
    "tls_client_auth_san_dns",
    "tls_client_auth_san_uri",
    "tls_client_auth_san_ip",
    "tls_client_auth_san_email",
)
"""What names the certificate of `tls_client_auth`; exactly one of them (RFC 8705 §2.1.2)."""

_LONGEST: Final = 2_000
_LONGEST_NAME: Final = 120
_MOST: Final = 100
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 §3.3
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


class InvalidMetadata(Invalid):
    """The metadata cannot be registered (RFC 7591 §3.2.2); `field` is the name."""

    code = "invalid_client_metadata"
    title = "The client cannot be registered like this"
    remedy = "Correct the named value; the manual lists every name and what it may say."


def parse(given: Metadata) -> dict[str, Json]:
    """`given` without its empty values, sorted by name. Raises `InvalidMetadata` or `InvalidRedirectUri`.

    Every name is checked for itself, then the whole for what fits together.
    """
    if len(given) > _MOST:
        raise InvalidMetadata(f"a client has at most {_MOST} names of metadata")
    kept = {name: _check_of(name)(name, given[name]) for name in sorted(given) if given[name] not in (None, "")}
    for rule in RULES:
        rule(with_defaults(kept))
    return kept


def with_defaults(registered: Metadata) -> dict[str, Json]:
    """`registered`, completed by what holds where nothing is said (RFC 7591 §2, OpenID Connect Registration §2)."""
    grant_types = registered.get("grant_types", [CODE])
    speaks_code = isinstance(grant_types, list) and CODE in grant_types
    return {
        "grant_types": grant_types,
        "response_types": ["code"] if speaks_code else [],
        "token_endpoint_auth_method": "client_secret_basic",
        "application_type": "web",
        "subject_type": "public",
        "id_token_signed_response_alg": "RS256",
        "require_pushed_authorization_requests": False,
        "dpop_bound_access_tokens": False,
        "consent": "required",
        "profile": "oidc",
        "require_pkce": True,
        **registered,
    }


def dump(metadata: Metadata) -> str:
    """The text under which `metadata` is stored."""
    return json.dumps(dict(metadata), sort_keys=True, ensure_ascii=False)


def load(stored: str) -> dict[str, Json]:
    """The metadata that was stored as `stored`."""
    metadata: dict[str, Json] = json.loads(stored)
    return metadata


# Values


Check = Callable[[str, Json], Json]


def _refuse(name: str, fault: str) -> InvalidMetadata:
    return InvalidMetadata(f"{name} {fault}", field=name)


def _text(name: str, value: Json) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise _refuse(name, f"must be a string of 1 to {_LONGEST} characters")
    if not value.isprintable():
        raise _refuse(name, "must not contain control or invisible characters")
    return value.strip()


def _name(name: str, value: Json) -> str:
    """DCR-04: what people read where they are asked to agree, short and not disguised as another name."""
    text = _text(name, value)
    if len(text) > _LONGEST_NAME:
        raise _refuse(name, f"must have at most {_LONGEST_NAME} characters")
    if any(len(_scripts_of(word)) > 1 for word in text.split()):
        raise _refuse(name, "must not mix letters that look alike within one word: Latin, Greek, Cyrillic")
    return text


def _scripts_of(word: str) -> set[str]:
    """Which of the scripts whose letters look alike occur in `word`."""
    return {unicodedata.name(letter, "").partition(" ")[0] for letter in word} & {"LATIN", "GREEK", "CYRILLIC"}


def _flag(name: str, value: Json) -> bool:
    if not isinstance(value, bool):
        raise _refuse(name, "must be true or false")
    return value


def _seconds(name: str, value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise _refuse(name, "must be a whole number of seconds")
    return value


def _scope(name: str, value: Json) -> str:
    text = _text(name, value)
    if not _TOKEN.fullmatch(text):
        raise _refuse(name, "must be scopes separated by single spaces (RFC 6749 §3.3)")
    return text


def _one_of(*known: str) -> Check:
    def check(name: str, value: Json) -> str:
        if not isinstance(value, str) or value not in known:
            raise _refuse(name, f"must be one of {', '.join(known)}")
        return value

    return check


def _list_of(check: Check) -> Check:
    def check_all(name: str, value: Json) -> list[Json]:
        if not isinstance(value, list) or len(value) > _MOST:
            raise _refuse(name, f"must be a list of at most {_MOST} values")
        checked = [check(name, item) for item in value]
        if any(item in checked[:place] for place, item in enumerate(checked)):
            raise _refuse(name, "names something twice")
        return checked

    return check_all


def _redirect(name: str, value: Json) -> str:
    return redirect_uris.require_valid(value, name)


def _web_address(name: str, value: Json) -> str:
    """https; http only on the developer's own machine."""
    if not isinstance(value, str) or not redirect_uris.is_web_address(value):
        raise _refuse(name, "must be an https address (http on a loopback host) without fragment and user name")
    return value


def _link(name: str, value: Json) -> str:
    """DCR-04: https; people follow it from our pages."""
    address = _web_address(name, value)
    if not address.startswith("https://"):
        raise _refuse(name, "must be an https address without fragment and user name")
    return address


def _origin(name: str, value: Json) -> str:
    address = _web_address(name, value)
    parts = urlsplit(address)
    if address != f"{parts.scheme}://{parts.netloc}":
        raise _refuse(name, "must be an origin: scheme, host and port alone")
    return address


def _audience(name: str, value: Json) -> str:
    """RFC 8707 §2: an absolute URI without a fragment."""
    text = _text(name, value)
    try:
        absolute = bool(urlsplit(text).scheme) and "#" not in text and " " not in text and text.isascii()
    except ValueError:
        absolute = False
    if not absolute:
        raise _refuse(name, "must name audiences by absolute URIs without a fragment")
    return text


def _key_set(name: str, value: Json) -> Json:
    """DCR-05: public keys of asymmetric algorithms, and nothing that ought to be secret."""
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= public_keys.MOST:
        raise _refuse(name, "must be an object with a list of keys (RFC 7517 §5)")
    for key in keys:
        if fault := public_keys.fault_of(key):
            raise _refuse(name, fault)
    return value


# Names


_STRINGS = _list_of(_text)
_ALGORITHM = _one_of(*SIGNING_ALGORITHMS)
_NAMES: Final[Mapping[str, Check]] = {
    # RFC 7591 §2
    "redirect_uris": _list_of(_redirect),
    "token_endpoint_auth_method": _one_of(*AUTH_METHODS),
    "grant_types": _list_of(_one_of(*GRANT_TYPES)),
    "response_types": _list_of(_one_of("code")),
    "client_name": _name,
    "client_uri": _link,
    "logo_uri": _link,
    "tos_uri": _link,
    "policy_uri": _link,
    "scope": _scope,
    "contacts": _STRINGS,
    "jwks_uri": _web_address,
    "jwks": _key_set,
    "software_id": _text,
    "software_version": _text,
    # OpenID Connect Registration §2
    "application_type": _one_of("web", "native"),
    "sector_identifier_uri": _web_address,
    "subject_type": _one_of("public", "pairwise"),
    "id_token_signed_response_alg": _ALGORITHM,
    "userinfo_signed_response_alg": _ALGORITHM,
    "request_object_signing_alg": _ALGORITHM,
    "token_endpoint_auth_signing_alg": _ALGORITHM,
    "default_max_age": _seconds,
    "require_auth_time": _flag,
    "default_acr_values": _STRINGS,
    "initiate_login_uri": _web_address,
    "request_uris": _list_of(_web_address),
    # OpenID Connect RP-Initiated, Front-Channel and Back-Channel Logout
    "post_logout_redirect_uris": _list_of(_redirect),
    "frontchannel_logout_uri": _web_address,
    "frontchannel_logout_session_required": _flag,
    "backchannel_logout_uri": _web_address,
    "backchannel_logout_session_required": _flag,
    # RFC 9126 §6, RFC 9449 §5.2, RFC 9101 §10.5, RFC 9396 §10
    "require_pushed_authorization_requests": _flag,
    "dpop_bound_access_tokens": _flag,
    "require_signed_request_object": _flag,
    "authorization_details_types": _STRINGS,
    # RFC 8705 §2.1.2, §3.4
    **dict.fromkeys(CERTIFICATE_NAMES, _text),
    "tls_client_certificate_bound_access_tokens": _flag,
    # ours
    "consent": _one_of("required", "always", "skip"),
    "profile": _one_of("oidc", "fapi2"),
    "require_pkce": _flag,
    "resources": _list_of(_audience),
    "serves": _list_of(_audience),
    "cors_origins": _list_of(_origin),
    "roles_in_id_token": _flag,
    "claims_in_id_token": _flag,
}

_TRANSLATED: Final = frozenset({"client_name", "client_uri", "logo_uri", "tos_uri", "policy_uri"})


def _check_of(name: str) -> Check:
    base, tagged, tag = name.partition("#")
    check = _NAMES.get(base)
    if check is None or (tagged and (base not in _TRANSLATED or not _LANGUAGE_TAG.fullmatch(tag))):
        raise InvalidMetadata(f"{name[:80]!a} is not metadata of a client that this provider knows", field=name[:80])
    return check


# What fits together


def codes_have_an_address(registered: Metadata) -> None:
    """RFC 7591 §2.1: the code grant goes with response type `code`, and with an address to send it to."""
    speaks_code = CODE in _strings(registered, "grant_types")
    if speaks_code != ("code" in _strings(registered, "response_types")):
        raise _refuse("response_types", f"must hold code if and only if grant_types holds {CODE}")
    if speaks_code and not registered.get("redirect_uris"):
        raise redirect_uris.InvalidRedirectUri(f"the grant {CODE} needs redirect_uris", field="redirect_uris")


def keys_have_one_source(registered: Metadata) -> None:
    """RFC 7591 §2: `jwks` and `jwks_uri` are not used together; `private_key_jwt` needs one of them."""
    sources = [name for name in ("jwks", "jwks_uri") if name in registered]
    if len(sources) == 2:
        raise _refuse("jwks", "and jwks_uri must not be given together")
    if registered["token_endpoint_auth_method"] in ("private_key_jwt", "self_signed_tls_client_auth") and not sources:
        raise _refuse("token_endpoint_auth_method", "needs jwks or jwks_uri")


def certificate_has_one_name(registered: Metadata) -> None:
    """RFC 8705 §2.1.2: a certificate is named in exactly one way."""
    named = [name for name in CERTIFICATE_NAMES if name in registered]
    if registered["token_endpoint_auth_method"] == MTLS and len(named) != 1:
        raise _refuse("token_endpoint_auth_method", f"needs exactly one of {', '.join(CERTIFICATE_NAMES)}")


def machines_authenticate(registered: Metadata) -> None:
    """RFC 6749 §4.4: client credentials are for clients that have some."""
    if (
        "client_credentials" in _strings(registered, "grant_types")
        and registered["token_endpoint_auth_method"] == NOTHING
    ):
        raise _refuse("token_endpoint_auth_method", "must not be none with the grant client_credentials")


def hosts_of(addresses: Iterable[str]) -> set[str]:
    """The hosts to which the web brings what is sent to these addresses; empty for an application's own scheme and for
    loopback, where whoever runs on the device answers, whatever host is named.
    """
    parts = [urlsplit(address) for address in addresses]
    return {(one.hostname or "") if one.scheme == "https" else "" for one in parts}


def pairwise_has_one_sector(registered: Metadata) -> None:
    """OpenID Connect Core §8.1: several redirect hosts have a sector only through `sector_identifier_uri`."""
    hosts = hosts_of(_strings(registered, "redirect_uris"))
    if registered["subject_type"] == "pairwise" and len(hosts) != 1 and "sector_identifier_uri" not in registered:
        raise _refuse("sector_identifier_uri", "is needed for pairwise subjects unless all redirect_uris share a host")


def frontchannel_logout_is_at_home(registered: Metadata) -> None:
    """OpenID Connect Front-Channel Logout §2: scheme, host and port of a redirect address."""
    uri = registered.get("frontchannel_logout_uri")
    homes = {urlsplit(home)[:2] for home in _strings(registered, "redirect_uris")}
    if isinstance(uri, str) and urlsplit(uri)[:2] not in homes:
        raise _refuse("frontchannel_logout_uri", "must have the scheme, host and port of one of the redirect_uris")


RULES: Final[tuple[Callable[[Metadata], None], ...]] = (
    codes_have_an_address,
    keys_have_one_source,
    certificate_has_one_name,
    machines_authenticate,
    pairwise_has_one_sector,
    frontchannel_logout_is_at_home,
)


def _strings(registered: Metadata, name: str) -> list[str]:
    value = registered.get(name)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
