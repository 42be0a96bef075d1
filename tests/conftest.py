"""What every test stands on: a provider on a fresh, migrated database, once on SQLite and once on PostgreSQL."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from flask import Flask

from idp.platform import connecting
from tests import databases, once
from tests.databases import Template

once.share()
hypothesis.settings.register_profile("canopy", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("canopy")  # two cores may be busy elsewhere: slow is not wrong
connecting.CONNECT_WAIT = 20  # the same


def pytest_configure() -> None:
    """A developer's own `IDP_*` settings are not the tests'; and what is told to stop by SIGINT hears it, also where
    the tests were begun in the background by a shell that has it ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith("IDP_")]:
        del os.environ[name]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """With several workers the controller starts the one PostgreSQL, before them: they inherit its address."""
    databases.start_postgresql(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    databases.stop_postgresql(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names of tests are the same in every process: workers compare them, and a set is written in any order."""
    for item in items:
        for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
            if isinstance(value, set | frozenset) and len(value) > 1 and str(value) in item.name:
                raise pytest.UsageError(f"{item.nodeid}: name this case, or make its set a tuple.")


def pytest_collection_finish() -> None:
    """What was collected stays: the garbage collector need not go through ten thousand tests again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A migrated, empty database to copy from."""
    if request.param == "postgresql":
        databases.start_postgresql(request.config)
    yield from databases.template(request.param, tmp_path_factory.mktemp("template"))


@pytest.fixture
def database_url(template: Template, tmp_path: Path) -> Iterator[str]:
    """The address of a copy of the template in which nothing has happened yet."""
    with template.lend(tmp_path) as url:
        yield url


@pytest.fixture
def app(database_url: str) -> Iterator[Flask]:
    """The provider, with its application context entered."""
    app = databases.app_on(database_url)
    with app.app_context():
        yield app
        databases.dispose()
