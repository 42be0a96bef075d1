"""Settings: `IDP_*` from the environment over one TOML file. What cannot be meant stops the start and says what to set."""

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings, frozen=True):
    """Every setting of the provider; a field's docstring is its documentation."""

    model_config = SettingsConfigDict(env_prefix="IDP_", use_attribute_docstrings=True, extra="forbid")

    issuer: str = "http://localhost:8000"
    database_url: str = "sqlite:////tmp/x.db"
    secret_key: tuple[SecretStr, ...] = ()
