"""Static files: read once, named by what they hold, so that browsers may keep them for ever (HTT-02)."""

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from idp.platform import resources
from idp.platform.calls import Answer
from idp.platform.http_refusals import NoSuchPage

_FOR_EVER = ("Cache-Control", "public, max-age=31536000, immutable")
_REVALIDATE = ("Cache-Control", "no-cache")


@dataclass(frozen=True)
class Asset:
    """One static file. `version` changes with its content."""

    name: str
    content: bytes
    version: str
    content_type: str

    @property
    def path(self) -> str:
        """Where it is served."""
        return f"/static/{self.version}/{self.name}"


@lru_cache
def _all() -> dict[str, Asset]:
    folder = resources.folder("static")
    return {asset.name: asset for asset in (_read(folder, path) for path in folder.rglob("*") if path.is_file())}


def _read(folder: Path, path: Path) -> Asset:
    content = path.read_bytes()
    version = hashlib.sha256(content).hexdigest()[:16]
    guessed = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    content_type = f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed
    return Asset(path.relative_to(folder).as_posix(), content, version, content_type)


def path_of(name: str) -> str:
    """The path under which the static file `name` is served; raises `KeyError` when there is none."""
    return _all()[name].path


def serve(version: str, name: str) -> Answer:
    """The static file `name`; under the version of another release, which may run beside this one, not for keeps."""
    asset = _all().get(name)
    if asset is None:
        raise NoSuchPage
    kept = _FOR_EVER if version == asset.version else _REVALIDATE
    return Answer(200, asset.content, asset.content_type, (kept,))
