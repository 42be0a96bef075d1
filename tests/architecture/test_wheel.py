"""The wheel holds everything: installed elsewhere, without the checkout, it migrates a database and answers."""

import secrets
import socket
import subprocess
import sys
import sysconfig
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT


def _done(*command: str | Path, folder: Path, environment: dict[str, str] | None = None) -> str:
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with our wheel; the libraries are those of the running one."""
    folder = tmp_path_factory.mktemp("wheel")
    _done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=ROOT)
    (wheel,) = folder.glob("*.whl")
    home = folder / "environment"
    venv.create(home, symlinks=True)
    (libraries,) = home.glob("lib/python*/site-packages")
    (libraries / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    uv = Path(sys.executable).parent / "uv"
    _done(
        uv, "pip", "install", "--quiet", "--offline", "--no-cache", "--no-deps", "--python", home / "bin/python", wheel,
        folder=folder,
    )  # fmt: skip
    return home / "bin"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A clean environment: nothing of the developer's, and nothing that leads to the checkout."""
    key = tmp_path / "secret_key"
    key.touch(0o600)
    key.write_text(secrets.token_urlsafe(48))
    return {
        "PATH": "/usr/bin:/bin",
        "IDP_ISSUER": "https://id.canopy.test",
        "IDP_DATABASE_URL": f"sqlite:///{tmp_path / 'canopy.db'}",
        "IDP_SECRET_KEY_FILE": str(key),
    }


def test_the_wheel_stands_alone(installed: Path, tmp_path: Path) -> None:
    told = _done(
        installed / "python", "-c", "import idp, sys; print(idp.__file__, *sys.path, sep='\\n')",
        folder=tmp_path, environment={},
    )  # fmt: skip
    assert told.startswith(str(installed.parent))
    assert str(ROOT) not in [line.strip() for line in told.splitlines()]


@pytest.mark.parametrize("folder", ["config", "migrations", "static", "templates"])
def test_the_wheel_holds_every_file_of(folder: str, installed: Path) -> None:
    (packaged,) = installed.parent.glob(f"lib/python*/site-packages/idp/_{folder}")
    held = {path.relative_to(packaged) for path in packaged.rglob("*") if path.is_file()}
    meant = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file()}
    assert {path for path in meant if path.suffix != ".pyc"} <= held


@pytest.fixture
def served(installed: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[int]:
    """The port of a provider that was installed from the wheel and started in another folder."""
    _done(installed / "idp", "db", "upgrade", folder=tmp_path, environment=environment)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    provider = subprocess.Popen(
        [installed / "idp", "serve", "--bind", f"127.0.0.1:{port}"],
        cwd=tmp_path,
        env=environment | {"IDP_DRAIN_SECONDS": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with provider:
        try:
            assert provider.stdout
            assert provider.stdout.readline() == "READY https://id.canopy.test\n"
            yield port
        finally:
            provider.terminate()
    assert provider.returncode == 0


def test_a_provider_from_the_wheel_migrates_and_answers(served: int) -> None:
    for address in ("healthz", "readyz"):
        with urllib.request.urlopen(f"http://127.0.0.1:{served}/{address}", timeout=5) as answer:
            assert answer.status == 200
