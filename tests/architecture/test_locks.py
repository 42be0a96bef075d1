"""The lock files pin what pyproject asks for, by hash, and say nothing of where it comes from."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.architecture.tree import ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
_RUNTIME = [*_PROJECT["project"]["dependencies"], *_PROJECT["project"]["optional-dependencies"]["redis"]]
_ASKED = {"requirements.lock": _RUNTIME, "requirements-dev.lock": [*_RUNTIME, *_PROJECT["dependency-groups"]["dev"]]}


def _pins(lock: str) -> dict[str, set[str]]:
    """Name → the versions that `lock` pins (several where they depend on the interpreter)."""
    pins: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text("utf-8"), re.MULTILINE):
        pins.setdefault(name, set()).add(version)
    return pins


@pytest.mark.parametrize("lock", _ASKED)
def test_a_lock_pins_every_dependency_within_what_is_asked_for(lock: str) -> None:
    pins = _pins(lock)
    for asked in map(Requirement, _ASKED[lock]):
        versions = pins.get(asked.name.lower().replace("_", "-").replace(".", "-"), set())
        assert versions, f"{asked.name} is not in {lock}: ./run lock"
        assert all(asked.specifier.contains(version, prereleases=True) for version in versions), asked


def test_both_locks_pin_the_same_versions() -> None:
    development = _pins("requirements-dev.lock")
    assert {
        name: versions for name, versions in _pins("requirements.lock").items() if development[name] != versions
    } == {}


@pytest.mark.parametrize("lock", _ASKED)
def test_every_pin_has_hashes_and_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    assert " @ " not in text
    assert not re.search(r"^\s*--(?!hash=sha256:[0-9a-f]{64})", text, re.MULTILINE)
    for pin in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        assert pin.startswith("#") or not pin.strip() or "--hash=sha256:" in pin, pin


def test_every_dependency_has_its_reason() -> None:
    reasons = (ROOT / "docs" / "adr" / "0011-dependencies.md").read_text("utf-8")
    assert [asked.name for asked in map(Requirement, _RUNTIME) if not re.search(rf"\b{asked.name}\b", reasons)] == []
