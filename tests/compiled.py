"""Templates compiled once a process: every test makes a provider of its own, and they all show the same pages."""

from typing import ClassVar

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class _Remembered(BytecodeCache):
    """What templates compile to, by their names; jinja asks the checksum of the source before it believes it."""

    _kept: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


def remember(app: Flask) -> None:
    """Let `app` have the templates that others compiled in this process, and leave its own to them."""
    app.jinja_env.bytecode_cache = _Remembered()
