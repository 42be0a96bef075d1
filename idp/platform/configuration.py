"""Where settings come from: the environment and one TOML file. What is unknown, unreadable or out of place is noted."""

import difflib
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.sources.utils import parse_env_vars

PREFIX = "IDP_"
FILE = f"{PREFIX}CONFIG"
"""The variable that names the TOML file."""

SECRETS = frozenset({"secret_key", "metrics_token"})
"""Settings that are secrets: in the environment, or in a file of their own that `…_FILE` names."""

ADDRESSES = frozenset({"database_url", "redis_url", "mail"})
"""Settings that may hold a password: as `SECRETS`, once they do."""

FILE_ONLY = frozenset({"rules"})
"""Settings that no environment variable can change."""


def variable(name: str) -> str:
    """The environment variable of the setting `name`."""
    return PREFIX + name.upper()


def password_in(url: str) -> str:
    """The password inside `url`, or nothing."""
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""


def read(path: Path) -> str:
    """The text of the file at `path`; raises `ValueError` with a sentence when there is none."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text in UTF-8") from None


class Sources:
    """What `environ` (as `os.environ`) and the file it names say about the settings of `kind`.

    `values`: the raw value of each setting that was given, the environment's over the file's. `origins`: where it
    was given. `problems`: sentences beginning with the name to set.
    """

    def __init__(self, kind: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self.values: dict[str, object] = {}
        self.origins: dict[str, str] = {}
        self.problems: list[str] = []
        self._kind = kind
        self._names = frozenset(kind.model_fields)
        if path := environ.get(FILE):
            self._read_file(path)
        self.production = self.values.get("rules") != "development"
        self._read_environment({name: value for name, value in environ.items() if name.upper().startswith(PREFIX)})

    def _take(self, values: Mapping[str, object], origin: str) -> None:
        self.values |= values
        self.origins |= dict.fromkeys(values, origin)

    def _read_file(self, path: str) -> None:
        try:
            values = tomllib.loads(read(Path(path)))
        except ValueError as error:
            self.problems.append(f"{FILE}: {error}")
            return
        for name in set(values) - self._names:
            self.problems.append(f"{path}: {name} is unknown{_nearest(name, self._names)}")
            del values[name]
        for name in [name for name in values if name in SECRETS or password_in(str(values[name]))]:
            there = variable(name)
            self.problems.append(f"{path}: {name} holds a secret; set {there} or {there}_FILE instead")
            del values[name]
        self._take(values, path)

    def _read_environment(self, given: dict[str, str]) -> None:
        known = {variable(name) for name in self._names - FILE_ONLY} | {FILE}
        files = {f"{variable(name)}_FILE" for name in SECRETS | ADDRESSES}
        for name in sorted(set(given) - known - files):
            self.problems.append(f"{name}: is unknown{_nearest(name, known | files)}")
            del given[name]
        given.pop(FILE, None)
        for name in sorted(files & set(given)):
            self._open(name, given)
        self._take(_Environment(self._kind, given)(), "environment")

    def _open(self, name: str, given: dict[str, str]) -> None:
        """Replace `…_FILE` in `given` by what the file holds."""
        target, path = name.removesuffix("_FILE"), Path(given.pop(name))
        if given.get(target):
            self.problems.append(f"{name}: {target} is set, too; set one of them")
            return
        try:
            given[target] = read(path).strip()
        except ValueError as error:
            self.problems.append(f"{name}: {error}")
            return
        if self.production and path.stat().st_mode & stat.S_IROTH:
            self.problems.append(f"{name}: {path} can be read by everybody; `chmod o-r` it")


class _Environment(EnvSettingsSource):
    """An environment that was handed over, not that of the process."""

    def __init__(self, kind: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(kind)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(self._environ, ignore_empty=True)


def _nearest(name: str, known: set[str] | frozenset[str]) -> str:
    spelled = {one.upper(): one for one in sorted(known)}
    near = difflib.get_close_matches(name.upper(), spelled, 1, 0.5)
    return f"; did you mean {spelled[near[0]]}?" if near else ""
