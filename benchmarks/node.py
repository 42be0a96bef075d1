"""The controls of `inside`: a node of the application beside the provider."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.provider import ROOT, Provider


class Node:
    """A process that does what it is told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, name: str, *arguments: object) -> Any:
        """What comes of a command of `inside`."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a node without pipes")
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextlib.contextmanager
def node(provider: Provider) -> Iterator[Node]:
    """A node on the database of `provider`, gone afterwards."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.inside"],
        env=provider.environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError("the node does not start")
        yield Node(process)
        process.communicate("")
