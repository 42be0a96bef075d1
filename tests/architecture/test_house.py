"""The house itself: rooms and tiers, names, what only one module may do, and what must not lie around."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, modules, shown, tracked

_TOP_LEVEL = {
    *(
        ".ci",
        ".gitignore",
        ".pre-commit-config.yaml",
        "pyproject.toml",
        "requirements.lock",
        "requirements-dev.lock",
        "run",
    ),
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "docs"),
    *("idp", "verifier", "wsgi.py", "config", "migrations", "templates", "static", "tests"),
    *("benchmarks", "deploy", "examples"),
}

_CLOCK = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "time.monotonic",
}


def _rooms() -> list[Path]:
    return [path for path in sorted((ROOT / "idp").iterdir()) if path.is_dir() and path.name[0] not in "._"]


def test_imports_keep_to_the_contracts() -> None:
    linted = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_room_has_its_place_among_the_tiers() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    placed = {room for layer in contracts[0]["layers"] for room in layer.split(" | ")}
    assert {room.name for room in _rooms()} == placed - {"app"}


@pytest.mark.parametrize("room", [*_rooms(), ROOT / "verifier" / "src" / "idp_verifier"], ids=lambda room: room.name)
def test_a_room_says_what_it_owns_and_holds_no_code_in_its_name(room: Path) -> None:
    module = ast.parse((room / "__init__.py").read_text("utf-8"))
    head, _, paragraph = (ast.get_docstring(module) or "").partition("\n\n")
    assert head.endswith((".", "?")), f"{room.name}/__init__.py begins with a sentence"
    assert len(paragraph.split()) > 20, (
        f"{room.name}/__init__.py says what it owns, what it leaves, where its doors are"
    )


def test_modules_are_named_for_what_they_know() -> None:
    vague = {"utils", "util", "helpers", "common", "misc", "service", "services", "base"}
    assert [shown(path) for path in modules("idp") if path.stem in vague] == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        shown(path)
        for folder in ("idp", "tests")
        for path, tree in modules(folder).items()
        if tree.body and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_only_the_clock_asks_for_the_time() -> None:
    asked = [
        f"{shown(path)}:{node.lineno} {ast.unparse(node.func)}"
        for path, tree in modules("idp").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ".".join(ast.unparse(node.func).split(".")[-2:]) in _CLOCK
    ]
    assert [place for place in asked if not place.startswith("idp/platform/clock.py")] == []


def test_only_doors_and_work_without_a_caller_open_a_transaction() -> None:
    doors = re.compile(r"idp/(app\.py|(admin|me|api|scim|cli)/.*|.*/views(/.*)?\.py)")
    rounds = {"idp/audit/seal.py", "idp/platform/jobs.py", "idp/platform/mail/delivery.py"}
    opened = {
        shown(path)
        for path, tree in modules("idp").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.withitem) and ast.unparse(node.context_expr).endswith("writing()")
    }
    assert {path for path in opened - rounds if not doors.fullmatch(path)} == set()


def test_nothing_unfinished_lies_around() -> None:
    words = "|".join(
        ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error", r"pytest\.(mark\.)?(skip|xfail)")
    )
    left = [
        f"{shown(path)}:{number} {line.strip()}"
        for path in tracked("*.py", "*.html", "*.js", "*.css", "*.toml", "*.yaml", "*.md", "run")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if re.search(rf"\b({words})\b", line)
    ]
    assert left == []


def test_the_top_level_is_as_the_architecture_lists_it() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} - _TOP_LEVEL == set()


def test_no_file_names_a_home_directory() -> None:
    homes = re.compile(r"(?<![\w.])/(home|root|Users)/\w")
    assert [
        shown(path)
        for path in tracked("*.py", "*.md", "*.toml", "*.yaml", "*.lock", "run")
        if homes.search(path.read_text("utf-8"))
    ] == []
