"""The files of this repository, as the tests of the house read them."""

import ast
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked(*patterns: str) -> list[Path]:
    """The files under version control that match (all, without patterns), also those that are new."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def modules(folder: str) -> dict[Path, ast.Module]:
    """Every Python module under `folder`, parsed."""
    return {path: ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / folder).rglob("*.py"))}


def shown(path: Path) -> str:
    """`path` as a reader writes it."""
    return path.relative_to(ROOT).as_posix()
