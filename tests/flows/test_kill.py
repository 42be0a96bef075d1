"""A process is killed in the midst of changes: nothing acknowledged is lost, and nothing is half done."""

import random
import subprocess
import sys
import time

import pytest
from flask import Flask
from sqlalchemy import text

from idp.app import start
from idp.audit import seal
from idp.audit.verify import verify
from idp.platform import clock, database
from tests.architecture.tree import ROOT
from tests.flows.changes import fingerprint
from tests.organizations import actors

CHANGES = 200
READY = 5.0
"""Seconds in which a process that begins after the kill must have made its first change."""


class Node:
    """A process that makes changes and says so, until it is killed."""

    def __init__(self, url: str, first: int) -> None:
        command = [sys.executable, "-m", "tests.flows.changes", url, str(first), str(CHANGES)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.before = self._next("go")[0]
        self.began = clock.monotonic()
        self.ready: float | None = None
        self.announced: dict[int, str] = {}
        """Fingerprints by the number of the change, each said just before its commit."""
        self.acknowledged = first - 1

    def run(self, changes: int) -> None:
        """Let it make that many changes, or all that are left."""
        while self.acknowledged < CHANGES - 1 and changes > 0:
            if self._hear(self._line()):
                changes -= 1

    def kill(self) -> None:
        """End it at once (SIGKILL), and hear what it has still said."""
        if self._process.returncode is None:
            self._process.kill()
            rest, _ = self._process.communicate()
            for line in rest.splitlines(keepends=True):
                if line.endswith("\n"):
                    self._hear(line.split())

    def _hear(self, words: list[str]) -> bool:
        if words[0] == "will":
            self.announced[int(words[1])] = words[2]
            return False
        self.ready = self.ready or clock.monotonic() - self.began
        self.acknowledged = int(words[1])
        return True

    def _next(self, word: str) -> list[str]:
        first, *rest = self._line()
        assert first == word
        return rest

    def _line(self) -> list[str]:
        assert self._process.stdout
        line = self._process.stdout.readline().split()
        assert line, "the process ended by itself"
        return line


def settled() -> str:
    """What the database holds once it has noticed that the process is gone."""
    patience = clock.monotonic() + READY
    while others_connected():
        assert clock.monotonic() < patience
    return fingerprint()


def others_connected() -> bool:
    """PostgreSQL may still carry out the commit that the process has sent. SQLite went with the process."""
    database.session().rollback()
    if database.is_sqlite():
        return False
    others = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return bool(database.session().execute(others).scalar_one())


def require_whole_trail() -> None:
    """Every entry is sealed, and the chains verify."""
    sealed = 1
    while sealed:
        with database.writing():
            sealed = seal.seal_batch()
    report = verify()
    assert (report.finding, report.unsealed) == (None, 0)


@pytest.mark.rule("AUD-01")
def test_of_200_changes_none_is_lost_or_half_done_however_often_the_process_is_killed(
    app: Flask, database_url: str, request: pytest.FixtureRequest
) -> None:
    start()
    actors.build()
    chance = random.Random(database_url)
    done, kills, now = 0, 0, settled()
    while done < CHANGES:
        node = Node(database_url, done)
        request.addfinalizer(node.kill)
        assert node.before == now
        node.run(chance.randint(10, 60))
        time.sleep(chance.random() * 0.03)  # to any place of the next change
        node.kill()
        kills += 1
        now = settled()
        if now == node.announced.get(node.acknowledged + 1):
            node.acknowledged += 1  # committed, and killed before it could say so
        assert now == node.announced.get(node.acknowledged, node.before)
        assert node.ready is not None
        assert node.ready < READY
        done = node.acknowledged + 1
        require_whole_trail()
    assert kills > 2
