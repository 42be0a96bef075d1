"""The generated pages: which tests guard which security rule, what settings and audit events mean.

`python -m tests.architecture.pages` writes them; with `--check` it fails when one is not what it would write.
"""

import ast
import functools
import sys
import textwrap
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from idp.audit.events import EVENTS
from idp.platform.configuration import FILE_ONLY, variable
from idp.platform.settings import Settings

ROOT = Path(__file__).parents[2]
SECURITY = ROOT / "docs" / "security.md"
OPERATIONS = ROOT / "docs" / "operations.md"


@dataclass(frozen=True)
class Rule:
    """A line of `docs/rules.toml`: its id, e.g. `ORG-03`, how severe a breach is, and what holds."""

    id: str
    severity: str
    holds: str


def rules() -> list[Rule]:
    """The security rules that this release keeps, in the order of `docs/rules.toml`."""
    with (ROOT / "docs" / "rules.toml").open("rb") as file:
        return [Rule(name, **fields) for name, fields in tomllib.load(file).items()]


@functools.cache
def guards() -> dict[str, list[str]]:
    """The tests that are marked with a rule, e.g. `ORG-03` → [`tests/organizations/test_grants.py::test_…`]."""
    found = defaultdict(list)
    for folder in (ROOT / "tests", ROOT / "verifier"):
        for path in sorted(folder.rglob("test_*.py")):
            for rule, test in _marked(ast.parse(path.read_text(encoding="utf-8"))):
                found[rule].append(f"{path.relative_to(ROOT).as_posix()}::{test}")
    return dict(found)


def _marked(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in module.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            for decorator in node.decorator_list:
                for rule in _rules_in(decorator):
                    yield rule, node.name


def _rules_in(decorator: ast.expr) -> list[str]:
    match decorator:
        case ast.Call(func=ast.Attribute(attr="rule"), args=arguments):
            return [str(ast.literal_eval(argument)) for argument in arguments]
    return []


def security_page() -> str:
    """`docs/security.md` as it should be."""
    tests = guards()
    lines = [
        "# Security rules and their tests",
        "",
        "Made by `./run docs` from `docs/rules.toml` and the tests that are marked with a rule. Each of these",
        "tests goes red when the check behind its rule is taken out.",
    ]
    for rule in rules():
        lines += ["", f"## {rule.id} ({rule.severity})", "", textwrap.fill(rule.holds, 118), ""]
        lines += [f"- `{test}`" for test in tests.get(rule.id, [])]
    return "\n".join(lines) + "\n"


def operations_page() -> str:
    """`docs/operations.md` with its generated parts as they should be."""
    page = OPERATIONS.read_text("utf-8")
    for name, table in (("settings", _settings()), ("events", _events())):
        before, _, rest = page.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition(f"<!-- /{name} -->\n")
        page = f"{before}<!-- {name} -->\n" + "\n".join(table) + f"\n<!-- /{name} -->\n{after}"
    return page


def _settings() -> list[str]:
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else str(field.default or "") or "none"
        shown = name if name in FILE_ONLY else variable(name)
        rows.append(f"| `{shown}` | {default} | {' '.join((field.description or '').split())} |")
    return rows


def _events() -> list[str]:
    rows = ["| Event | What it says |", "|---|---|"]
    return rows + [f"| `{event}` | {sentence} |" for event, sentence in EVENTS.items()]


def pages() -> dict[Path, str]:
    """Every generated page, and what it should say."""
    return {SECURITY: security_page(), OPERATIONS: operations_page()}


def main(*arguments: str) -> int:
    """Write the pages, or with `--check` compare them; the exit status."""
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} is out of date: ./run docs", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
    return int("--check" in arguments and bool(stale))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
