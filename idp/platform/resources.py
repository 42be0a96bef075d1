"""Where templates, static files, migrations and configuration lie: beside `idp/`, or in a wheel in `idp/_…`."""

from pathlib import Path

import idp

_PACKAGE = Path(idp.__file__).parent


def folder(name: str) -> Path:
    """The folder `name` (`templates`, `static`, `migrations` or `config`) of this installation."""
    packaged = _PACKAGE / f"_{name}"
    return packaged if packaged.is_dir() else _PACKAGE.parent / name
