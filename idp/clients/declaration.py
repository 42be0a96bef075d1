"""Reading `config/roles.yaml`: what every permission is called and which built-in role holds it.

It is the declaration of the issuer's own audience. Strict: whatever is not understood stops the start and names the
place in the file.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from idp.platform import resources
from idp.platform.errors import Invalid

HOLDERS_OF_ALL = ("super_admin", "admin")
"""The built-in roles that hold everything at every audience but the issuer's own."""

EVERY_MEMBER = ""
"""Stands, among the holders of a permission, for every active member: no role has an empty key."""

_PERMISSION = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_ROLE = re.compile(r"(?!x_)[a-z][a-z0-9_]{0,31}")
_DEMANDS = frozenset({"", "aal1", "aal2", "phr"})
_PARTS = frozenset({"version", "permissions", "every_member", "privileged_if_any_of", "sets", "roles"})
_FIELDS = frozenset({"may_grant", "sensitive", "demands", "allow", "live", "sandbox"})


class WrongDeclaration(Invalid):
    """The file of permissions and roles cannot be meant; the message names the place in it."""

    code = "wrong_declaration"
    title = "The file of permissions and roles cannot be understood"
    remedy = "Correct the named place of the file."


@dataclass(frozen=True)
class RoleDeclaration:
    """A built-in role: what it may grant (as in `Role.may_grant`), demands, allows live and in sandboxes."""

    key: str
    may_grant: str
    sensitive: bool
    demands: str
    live: frozenset[str]
    sandbox: frozenset[str]

    @property
    def name(self) -> str:
        """What people read."""
        return self.key.replace("_", " ").capitalize().replace("Iam ", "IAM ")


@dataclass(frozen=True)
class RoleFile:
    """Every permission of the issuer's own audience, every built-in role in the order of the file, and two lists.

    `every_member`: what every member may (names only, of what one may enter). `privileged`: permissions of which one
    makes a role privileged.
    """

    permissions: tuple[str, ...]
    roles: tuple[RoleDeclaration, ...]
    every_member: frozenset[str]
    privileged: frozenset[str]

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the built-in roles."""
        return frozenset(role.key for role in self.roles)


@cache
def shipped() -> RoleFile:
    """The file that this installation came with."""
    return read(resources.folder("config") / "roles.yaml")


def read(path: Path) -> RoleFile:
    """The declaration in the YAML file at `path`. Raises `WrongDeclaration`."""
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> RoleFile:
    """The declaration that the YAML document `text` is. Raises `WrongDeclaration`."""
    try:
        document = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise WrongDeclaration(f"not YAML: {error}") from None
    parts = _mapping("the file", document, _PARTS)
    if parts.get("version") != 1:
        raise WrongDeclaration("version: must be 1")
    groups = {name: _names(f"permissions.{name}", value) for name, value in _part(parts, "permissions").items()}
    permissions = _distinct(groups)
    words = _Words(permissions, groups)
    for name, value in _part(parts, "sets").items():
        words.define(name, value)
    roles = _part(parts, "roles")
    return RoleFile(
        permissions,
        tuple(_role(key, value, words, frozenset(roles)) for key, value in roles.items()),
        words.spell("every_member", parts.get("every_member")),
        words.spell("privileged_if_any_of", parts.get("privileged_if_any_of")),
    )


class _Words:
    """What lists of permissions are spelled with: permissions, `$group`, `$set`, `$all`, each also with `-`."""

    def __init__(self, permissions: tuple[str, ...], groups: Mapping[str, tuple[str, ...]]) -> None:
        self._meaning = {name: frozenset({name}) for name in permissions}
        self._meaning["$all"] = frozenset(permissions)
        for name, members in groups.items():
            self._add(name, frozenset(members))

    def define(self, name: str, value: object) -> None:
        """Let `$name` stand for the list `value`, which may use what was defined before."""
        self._add(name, self.spell(f"sets.{name}", value))

    def spell(self, place: str, value: object) -> frozenset[str]:
        """The permissions that the list `value` at `place` names, less those that it names with `-`."""
        words = _list(place, value)
        less = {word for word in words if word.startswith("-")}
        return self._union(place, words - less) - self._union(place, {word[1:] for word in less})

    def _union(self, place: str, words: Iterable[str]) -> frozenset[str]:
        unknown = sorted(word for word in words if word not in self._meaning)
        if unknown:
            raise WrongDeclaration(f"{place}: {unknown[0]!r} is neither a permission nor a set defined before")
        return frozenset[str]().union(*(self._meaning[word] for word in words))

    def _add(self, name: str, members: frozenset[str]) -> None:
        if f"${name}" in self._meaning:
            raise WrongDeclaration(f"sets.{name}: defined twice")
        self._meaning[f"${name}"] = members


def _role(key: str, value: object, words: _Words, keys: frozenset[str]) -> RoleDeclaration:
    place = f"roles.{key}"
    if not _ROLE.fullmatch(key):
        raise WrongDeclaration(f"{place}: a key is up to 32 of a-z, 0-9 and '_', and does not begin with x_")
    fields = _mapping(place, value, _FIELDS)
    if ("allow" in fields) == ("live" in fields or "sandbox" in fields):
        raise WrongDeclaration(f"{place}: needs either allow, or live and sandbox")
    sensitive, demands = fields.get("sensitive", False), fields.get("demands", "")
    if not isinstance(sensitive, bool):
        raise WrongDeclaration(f"{place}.sensitive: must be true or false")
    if not isinstance(demands, str) or demands not in _DEMANDS:
        raise WrongDeclaration(f"{place}.demands: must be one of aal1, aal2, phr")
    return RoleDeclaration(
        key,
        _may_grant(f"{place}.may_grant", fields.get("may_grant", []), keys),
        sensitive,
        demands,
        live=_allowed(place, fields, "live", words),
        sandbox=_allowed(place, fields, "sandbox", words),
    )


def _allowed(place: str, fields: Mapping[str, object], mode: str, words: _Words) -> frozenset[str]:
    name = "allow" if "allow" in fields else mode
    return words.spell(f"{place}.{name}", fields.get(name))


def _may_grant(place: str, value: object, keys: frozenset[str]) -> str:
    words = ["any"] if value == "any" else sorted(_list(place, value), key=lambda word: (word != "any", word))
    unknown = [word for word in words if word != "any" and word.removeprefix("-") not in keys]
    if unknown:
        raise WrongDeclaration(f"{place}: {unknown[0]!r} is not a role of this file")
    return " ".join(words) or "none"


def _distinct(groups: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    every = [name for members in groups.values() for name in members]
    twice = sorted({name for name in every if every.count(name) > 1})
    if twice:
        raise WrongDeclaration(f"permissions: {twice[0]!r} is named twice")
    return tuple(every)


def _names(place: str, value: object) -> tuple[str, ...]:
    names = sorted(_list(place, value))
    for name in names:
        if not _PERMISSION.fullmatch(name):
            raise WrongDeclaration(f"{place}: {name!r} is not of the form thing.act")
    return tuple(names)


def _part(parts: Mapping[str, object], name: str) -> Mapping[str, object]:
    return _mapping(name, parts.get(name), None)


def _mapping(place: str, value: object, known: frozenset[str] | None) -> Mapping[str, object]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise WrongDeclaration(f"{place}: must be a mapping")
    unknown = sorted(value.keys() - known) if known is not None else []
    if unknown:
        raise WrongDeclaration(f"{place}: {unknown[0]!r} is unknown; known are {', '.join(sorted(known or ()))}")
    return value


def _list(place: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise WrongDeclaration(f"{place}: must be a list of names")
    if len(set(value)) != len(value):
        raise WrongDeclaration(f"{place}: names something twice")
    return frozenset(value)
