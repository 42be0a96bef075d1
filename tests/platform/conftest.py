"""What tests of the platform share: a provider to knock at."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform import sites
from tests.platform.sites import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A provider under production rules, on a database that nobody has migrated."""
    with sites.site(tmp_path) as found:
        yield found
