"""openid-client (npm), unmodified, in a process of its own."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


class Refused(Exception):
    """The library raised; `error` is the OAuth error that it was told, if any."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(json.dumps(told))
        self.error = told.get("error")
        self.code = told.get("code")


class OpenidClient:
    """A relying party: each method of `relying_party.mjs` by its name."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, act: str, **given: object) -> Any:
        """What came of `act`. Raises `Refused`."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"act": act, **given}) + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        if "error" in said:
            raise Refused(said["error"])
        return said["result"]


@contextlib.contextmanager
def running() -> Iterator[OpenidClient]:
    """A relying party, for as long as the block takes."""
    command = ["node", str(FOLDER / "relying_party.mjs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield OpenidClient(process)
        finally:
            process.terminate()
