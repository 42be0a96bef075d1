"""Settings: every value that an operator may set. What cannot be meant stops the start and says what to set."""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from email.headerregistry import Address, HeaderRegistry
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from flask import Flask, current_app
from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from idp.platform import clock, configuration, hosts, key_strength
from idp.platform.configuration import Sources, password_in, variable
from idp.platform.errors import Refusal
from idp.platform.hosts import Proxies

_DAY = 86_400


class BadSettings(Refusal):
    """The provider cannot start as it is configured; `problems` are sentences, each beginning with the name to set."""

    code = "bad_settings"
    status = 500
    title = "The settings do not allow a start"
    remedy = "Set what is named and start again."

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n  ".join((f"{self.title}:", *problems)))
        self.problems = problems


@dataclass(frozen=True)
class Lifetimes:
    """How long what we hand out lives, in microseconds like every duration in this house (`clock`)."""

    code: int
    par: int
    access: int
    id: int
    refresh_idle: int
    refresh_max: int
    session_idle: int
    session_max: int
    device: int

    @property
    def public_refresh_idle(self) -> int:
        """As `refresh_idle`, for clients without a credential: never more than 7 days."""
        return min(self.refresh_idle, 7 * clock.DAY)

    @property
    def public_refresh_max(self) -> int:
        """As `refresh_max`, for clients without a credential: never more than 30 days."""
        return min(self.refresh_max, 30 * clock.DAY)


@dataclass(frozen=True)
class Shown:
    """A setting as it may be shown to an operator: secrets are masked, `source` says where the value comes from."""

    name: str
    value: str
    source: str


def _listed(value: object) -> object:
    """Texts of several values may be separated by commas, blanks or line ends."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _proxies(value: object) -> object:
    return Proxies.parse(value) if isinstance(value, str) else value


Seconds = Annotated[int, Field(ge=1)]
Several = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Settings(BaseSettings):
    """Every setting of the provider; a field's docstring is its documentation.

    `load` reads the environment and the file; a constructed value has exactly what it was given, and defaults.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix=configuration.PREFIX,
        env_ignore_empty=True,
        enable_decoding=False,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    issuer: str
    """The address under which people and applications reach the provider, e.g. `https://id.example.com`; every link,
    token and document names it. An https origin (http only on loopback) without a trailing slash."""

    database_url: str = Field(repr=False)
    """Where the data is: `sqlite:////absolute/path.db` or `postgresql://user:password@host/name`."""

    secret_key: Annotated[tuple[SecretStr, ...], BeforeValidator(_listed)] = Field(min_length=1, repr=False)
    """The master keys: the first seals and signs, all of them open and verify. Each has at least 32 random characters
    (`openssl rand -base64 48`). Environment or `IDP_SECRET_KEY_FILE` only."""

    redis_url: str = Field("", repr=False)
    """Redis or Valkey for rate limits of several nodes, e.g. `redis://host:6379/0`; without it each process counts."""

    mail: str = Field("", repr=False)
    """How mail leaves: `smtp://user:password@host:587` (with STARTTLS), `smtps://…` (TLS from the first byte), or
    `file:DIR` to write `.eml` files there. Without it letters wait."""

    mail_from: str = ""
    """Whom mail comes from, e.g. `Example <no-reply@example.com>`; without it `Canopy <no-reply@…>` at the host of the
    issuer."""

    trusted_proxies: Annotated[Proxies, BeforeValidator(_proxies)] = Proxies()
    """The reverse proxies whose `X-Forwarded-For` counts: addresses or networks (`10.0.0.5, 10.1.0.0/16`), if known
    with the number of them in a row (`10.0.0.0/8; 2`), or that number alone for proxies on private addresses (`1`)."""

    extra_ca_file: Path | None = None
    """PEM certificates that outgoing connections trust beside those of the system."""

    outbound_allow: Several = ()
    """`host` or `host:port` of your own networks that outgoing requests may reach although they are private."""

    registration: Literal["off", "token", "open"] = "token"
    """Dynamic registration of clients: not at all, with an initial access token, or by anybody."""

    signup: Literal["off", "on"] = "off"
    """Whether people may make themselves an account."""

    lifetime_code: Seconds = Field(60, le=600)
    """Seconds until an authorization code expires."""

    lifetime_par: Seconds = Field(60, le=600)
    """Seconds until a pushed authorization request expires."""

    lifetime_access: Seconds = Field(300, le=3600)
    """Seconds until an access token expires."""

    lifetime_id: Seconds = Field(300, le=3600)
    """Seconds until an ID token expires."""

    lifetime_refresh_idle: Seconds = Field(14 * _DAY, le=14 * _DAY)
    """Seconds after which an unused refresh token expires (public clients: at most 7 days)."""

    lifetime_refresh_max: Seconds = Field(90 * _DAY, le=90 * _DAY)
    """Seconds after which refreshing ends, however often it was done (public clients: at most 30 days)."""

    lifetime_session_idle: Seconds = Field(8 * 3600, le=7 * _DAY)
    """Seconds after which an unused browser session ends; an organization may shorten it."""

    lifetime_session_max: Seconds = Field(_DAY, le=30 * _DAY)
    """Seconds after which a browser session ends; an organization may shorten it."""

    lifetime_device: Seconds = Field(900, le=900)
    """Seconds until a device code expires."""

    password_length: int = Field(15, ge=15, le=128)
    """Characters that a new password has at least: 15 to 128. What people have already stays good."""

    password_length_with_mfa: int = Field(8, ge=8, le=128)
    """The same for people who have a second factor and whose organizations all require one: 8 to
    `IDP_PASSWORD_LENGTH`."""

    rate_limits: Literal["on", "off"] = "on"
    """Whether guessing is slowed down; `off` is for load tests."""

    require_pkce: Literal["always", "public"] = "always"
    """Of whom PKCE is required; `public` exempts confidential clients, for certification and old applications."""

    drain_seconds: int = Field(2, ge=0, le=300)
    """Seconds between a stop signal and the closing of the listener, in which `/readyz` already says no."""

    metrics_token: SecretStr | None = Field(None, repr=False)
    """The bearer token of `/metrics`, at least 32 characters; without it only this machine may read them."""

    log_format: Literal["json", "text"] = "json"
    """One JSON object a line, or lines for people."""

    security_contact: str = ""
    """Where to report a vulnerability, for `/.well-known/security.txt`: an https or mailto address. Without it the
    mailbox `security` at the host of the issuer (RFC 2142)."""

    rules: Literal["production", "development"] = "production"
    """`development` holds only in a configuration file, and only with an issuer on loopback: key files may be readable
    by everybody, and outgoing requests may use http to loopback."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: object, **__: object
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Construction looks at nothing around it: only `load` does, at what it is given."""
        return (init_settings,)

    # What a value must be

    @field_validator("issuer")
    @classmethod
    def _issuer_is_an_origin(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if not issuer.isascii() or issuer != f"{parts.scheme}://{hosts.authority(issuer)}" or "@" in parts.netloc:
            raise ValueError("must be an origin in lower case, without path, trailing slash, query or default port")
        if parts.scheme != "https" and not (parts.scheme == "http" and hosts.is_loopback(parts.hostname or "")):
            raise ValueError("must be an https address (http only on loopback)")
        if not hosts.is_well_formed(parts.netloc):
            raise ValueError("must name a host")
        return issuer

    @field_validator("database_url")
    @classmethod
    def _database_is_one_of_ours(cls, url: str) -> str:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ValueError("must be `sqlite:////absolute/path.db` or `postgresql://…`") from None
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise ValueError("must be `sqlite:////absolute/path.db` or `postgresql://…`")
        if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
            raise ValueError("must name a file: several processes share the data")
        return url

    @field_validator("secret_key")
    @classmethod
    def _keys_are_strong(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, key in enumerate(keys, 1):
            if weakness := key_strength.weakness_of(key.get_secret_value()):
                which = f"key {number} of {len(keys)} " if len(keys) > 1 else ""
                raise ValueError(f"{which}{weakness}; make one with `openssl rand -base64 48`")
        if len(set(keys)) < len(keys):
            raise ValueError("names the same key twice")
        return keys

    @field_validator("metrics_token")
    @classmethod
    def _token_is_strong(cls, token: SecretStr | None) -> SecretStr | None:
        if token and (weakness := key_strength.weakness_of(token.get_secret_value())):
            raise ValueError(f"{weakness}; make one with `openssl rand -base64 48`")
        return token

    @field_validator("redis_url")
    @classmethod
    def _redis_is_one(cls, url: str) -> str:
        return _of_schemes(url, "redis", "rediss", "unix")

    @field_validator("mail")
    @classmethod
    def _mail_can_leave(cls, url: str) -> str:
        if url.startswith("file:") and not url.removeprefix("file:"):
            raise ValueError("must name a directory after `file:`")
        if url.startswith("smtp") and not _names_a_server(url):
            raise ValueError("must name a host, and a port if any, after `smtp://` or `smtps://`")
        return _of_schemes(url, "smtp", "smtps", "file")

    @field_validator("mail_from")
    @classmethod
    def _sender_is_an_address(cls, sender: str) -> str:
        if sender and not _is_one_mailbox(sender):
            raise ValueError("must be one address, with a name before it or not")
        return sender

    @field_validator("security_contact")
    @classmethod
    def _contact_is_an_address(cls, contact: str) -> str:
        return _of_schemes(contact, "https", "mailto")

    @field_validator("extra_ca_file")
    @classmethod
    def _certificates_can_be_read(cls, path: Path | None) -> Path | None:
        if path and "-----BEGIN CERTIFICATE-----" not in configuration.read(path):
            raise ValueError("holds no PEM certificate")
        return path

    @field_validator("outbound_allow")
    @classmethod
    def _targets_are_hosts(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            if not hosts.is_well_formed(target):
                raise ValueError(f"`{target}` is not a host or host:port")
        return targets

    @model_validator(mode="after")
    def _values_agree(self) -> Self:
        if problems := tuple(self._disagreements()):
            raise ValueError("\n".join(problems))
        return self

    def _disagreements(self) -> Iterator[str]:
        if self.development and not hosts.is_loopback(urlsplit(self.issuer).hostname or ""):
            yield f"IDP_ISSUER: must be on loopback under development rules, e.g. http://localhost:8000 ({self.issuer})"
        if self.lifetime_session_idle > self.lifetime_session_max:
            yield "IDP_LIFETIME_SESSION_IDLE: must not be longer than IDP_LIFETIME_SESSION_MAX"
        if self.lifetime_refresh_idle > self.lifetime_refresh_max:
            yield "IDP_LIFETIME_REFRESH_IDLE: must not be longer than IDP_LIFETIME_REFRESH_MAX"
        if self.password_length_with_mfa > self.password_length:
            yield "IDP_PASSWORD_LENGTH_WITH_MFA: must not be more than IDP_PASSWORD_LENGTH"
        for (one, value), (other, same) in combinations(self._secrets(), 2):
            if value == same:
                yield f"{other}: is the same secret as {one}; every secret needs its own"

    def _secrets(self) -> Iterator[tuple[str, str]]:
        """Every secret with the name of its setting, passwords inside addresses among them."""
        yield from (("IDP_SECRET_KEY", key.get_secret_value()) for key in self.secret_key)
        if self.metrics_token:
            yield "IDP_METRICS_TOKEN", self.metrics_token.get_secret_value()
        for name in configuration.ADDRESSES:
            if password := password_in(getattr(self, name)):
                yield variable(name), password

    # What rooms ask for

    @property
    def development(self) -> bool:
        """Whether development rules hold."""
        return self.rules == "development"

    @property
    def secure(self) -> bool:
        """Whether the provider is reached by https: decided by the issuer, never by a request (HTT-03)."""
        return self.issuer.startswith("https:")

    @property
    def sender(self) -> str:
        """Whom mail comes from, as in the header `From`."""
        return self.mail_from or f"Canopy <no-reply@{urlsplit(self.issuer).hostname}>"

    @property
    def lifetimes(self) -> Lifetimes:
        """The `IDP_LIFETIME_*` settings, in microseconds."""
        names = Lifetimes.__dataclass_fields__
        return Lifetimes(**{name: getattr(self, f"lifetime_{name}") * clock.SECOND for name in names})

    def shown(self) -> tuple[Shown, ...]:
        """Every setting with its source, secrets masked, in the order of their documentation."""
        return tuple(
            Shown(variable(name), _masked(name, getattr(self, name)), self._origins.get(name, "default"))
            for name in type(self).model_fields
        )

    # Where values come from

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings that `environ` (as `os.environ`) and the file it names in `IDP_CONFIG` amount to.

        Raises `BadSettings` with every problem at once. Neither the environment of the process nor any default file
        is looked at.
        """
        sources = Sources(cls, environ)
        problems = list(sources.problems)
        if sources.production and environ.get("FLASK_DEBUG", "0").lower() not in ("", "0", "false", "no"):
            problems.append("FLASK_DEBUG: must not be set under production rules")
        try:
            loaded = cls(**sources.values)  # type: ignore[arg-type]  # pydantic checks them
        except ValidationError as error:
            raise BadSettings((*problems, *_phrased(error))) from None
        if problems:
            raise BadSettings(tuple(problems))
        loaded._origins.update(sources.origins)
        return loaded


def forget_secrets(environ: MutableMapping[str, str]) -> None:
    """Take the secrets out of `environ` once they were read: servers copy the environment into every request."""
    for name in configuration.SECRETS | configuration.ADDRESSES:
        environ.pop(variable(name), None)


def configure(app: Flask, settings: Settings) -> None:
    """Let `settings()` answer with `settings` while `app` is the current application."""
    app.extensions["canopy_settings"] = settings


def settings() -> Settings:
    """The settings of the current application."""
    found: Settings = current_app.extensions["canopy_settings"]
    return found


def _phrased(error: ValidationError) -> list[str]:
    """A sentence a problem, each beginning with the name to set and ending with what the setting is."""
    return [sentence for problem in error.errors() for sentence in _sentences(problem["loc"], problem)]


def _sentences(place: tuple[int | str, ...], problem: Any) -> list[str]:
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not place:
        return message.split("\n")
    name = str(place[0])
    if problem["type"] in ("missing", "too_short"):
        message = "is missing"
    about = " ".join((Settings.model_fields[name].description or "").split())
    return [f"{variable(name)}: {message[:1].lower()}{message[1:]}. {about}"]


def _of_schemes(url: str, *schemes: str) -> str:
    if url and urlsplit(url).scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(f'`{scheme}:`' for scheme in schemes)}")
    return url


def _names_a_server(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _is_one_mailbox(sender: str) -> bool:
    if not sender.isprintable():
        return False
    header = HeaderRegistry()("from", sender)
    addresses: tuple[Address, ...] = getattr(header, "addresses", ())
    return not header.defects and len(addresses) == 1 and bool(addresses[0].domain)


def _masked(name: str, value: object) -> str:
    if name in configuration.SECRETS:
        return "********" if value else ""
    text = ", ".join(value) if isinstance(value, tuple) else "" if value is None else str(value)
    head, at, tail = text.rpartition("@")
    if name not in configuration.ADDRESSES or not at or not password_in(text):
        return text
    return f"{head.rpartition(':')[0]}:********@{tail}"
