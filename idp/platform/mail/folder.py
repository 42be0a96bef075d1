"""Mail into a directory: one `.eml` file a letter, for trying things out and for programs that send them on."""

import contextlib
import os
import tempfile
from email.message import EmailMessage
from pathlib import Path

SUFFIX = ".eml"


def put(message: EmailMessage, name: str, folder: Path) -> None:
    """Write `message` into `folder` (made if need be) as `name`, whole or not at all; twice leaves one file.

    Only this user of the system may read it: links in it are worth an account.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=".", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(message.as_bytes())
        Path(draft).replace(folder / f"{name}{SUFFIX}")
    except BaseException:
        with contextlib.suppress(OSError):
            Path(draft).unlink()
        raise


def require_writable(folder: Path) -> None:
    """Raise `OSError` unless letters can be put there."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def names(folder: Path, most: int = 200) -> list[str]:
    """The names of the letters in `folder`, without their suffix, the newest first, at most `most`."""
    if not folder.is_dir():
        return []
    files = [one for one in folder.iterdir() if one.suffix == SUFFIX and not one.name.startswith(".")]
    newest = sorted(files, key=lambda one: (one.stat().st_mtime_ns, one.name), reverse=True)
    return [one.stem for one in newest[:most]]
