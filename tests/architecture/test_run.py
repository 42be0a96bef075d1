"""`./run`: what it lists is what it can do, from wherever it is called."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "run", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def test_alone_it_lists_its_commands(tmp_path: Path) -> None:
    listed = _run(folder=tmp_path)
    named = re.findall(r"^\./run (\w+)", listed.stdout, re.MULTILINE)
    handled = re.findall(
        r"^    ([a-z]+)\)", (ROOT / "run").read_text("utf-8").split('case "$command" in')[1], re.MULTILINE
    )
    assert listed.returncode == 0
    assert sorted(named) == sorted(handled)


def test_an_unknown_command_is_refused(tmp_path: Path) -> None:
    refused = _run("dmeo", folder=tmp_path)
    assert refused.returncode == 2
    assert "dmeo" in refused.stderr


@pytest.mark.parametrize("script", ["run", ".ci/run"])
def test_a_script_is_executable_and_stops_at_what_fails(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert re.search(r"^set -eu", path.read_text("utf-8"), re.MULTILINE)


def test_ci_runs_the_two_commands_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert [line for line in lines if "run" in line and not line.startswith("#")] == ["./run check", "./run test"]
