"""Which letters there are, and what each needs to be told: `templates/mail/facts.toml`."""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

from idp.platform import resources

Kind = Literal["text", "passage", "word", "instant", "number"]
"""What a fact is: see the head of `facts.toml`."""

FIELDS: Final = ("path", "code", "expires_at")
"""Fields of a letter that some templates cannot do without."""

EVERYWHERE: Final[Mapping[str, Kind]] = {"device": "text", "at": "instant", "who": "word"}
"""Facts that every letter may have: in which browser something was done, when, and by whom."""


class BadLetter(Exception):
    """A rule posted a letter that its words cannot be made of: what it says is for whoever wrote that rule."""


@lru_cache
def known() -> Mapping[str, Mapping[str, str]]:
    """The table, by the name of the template."""
    with (resources.folder("templates") / "mail" / "facts.toml").open("rb") as file:
        return tomllib.load(file)


def facts_of(template: str) -> dict[str, Kind]:
    """What the words of the letter speak of. Raises `BadLetter` when there is none of that name."""
    if template not in known():
        raise BadLetter(f"there is no letter {template!r} in templates/mail/facts.toml")
    return {name: kind for name, kind in known()[template].items() if name not in FIELDS}  # type: ignore[misc]


def require(template: str, facts: Mapping[str, str | int], fields: Mapping[str, object]) -> None:
    """Raise `BadLetter` unless `facts` and `fields` are all that the letter says, and nothing else."""
    wanted = facts_of(template)
    given = {name: kind for name, kind in EVERYWHERE.items() if name in facts}
    if facts.keys() != (wanted | given).keys():
        raise BadLetter(f"{template} wants the facts {sorted(wanted)}, not {sorted(facts)}")
    for name, kind in (wanted | given).items():
        if not isinstance(facts[name], str if kind in ("text", "passage", "word") else int):
            raise BadLetter(f"{template}: {name} is no {kind}")
    for name in FIELDS:
        if (known()[template].get(name) == "needed") is not bool(fields[name]):
            raise BadLetter(f"{template}: {name} is {'missing' if not fields[name] else 'not wanted'}")
