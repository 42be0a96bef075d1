"""What every test stands on: a provider on a fresh, migrated database, once on SQLite and once on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests import databases
from tests.databases import Template


def pytest_configure(config: pytest.Config) -> None:
    """The controller starts one PostgreSQL; workers of xdist inherit its address."""
    databases.start_postgresql(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    databases.stop_postgresql(config)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A migrated, empty database to copy from."""
    yield from databases.template(request.param, tmp_path_factory.mktemp("template"))


@pytest.fixture
def database_url(template: Template, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh copy of the template."""
    with template.copy(tmp_path) as url:
        yield url


@pytest.fixture
def app(database_url: str) -> Iterator[Flask]:
    """The provider, with its application context entered."""
    app = databases.app_on(database_url)
    with app.app_context():
        yield app
        databases.dispose()
