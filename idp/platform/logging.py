"""Logs: one JSON object a line on stderr, each with the id of the request it belongs to, none with a secret."""

import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Literal

import structlog

from idp.platform import clock, correlation, redaction

Event = MutableMapping[str, Any]

FRAMES = 30
"""Frames of a stack that are kept, innermost last."""


def configure(form: Literal["json", "text"], *, messages: bool = False) -> None:
    """Send every log line of this process, those of libraries too, to stderr in `form`.

    `messages`: tell what exceptions say, too. That is for development: their words may repeat what somebody typed.
    """
    shared: list[structlog.types.Processor] = [_stamp, _Exceptions(messages), _redact]
    global _render
    _render = render = _json if form == "json" else _text
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, *shared, render],
        logger_factory=lambda *_: _stderr,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    _take_over_libraries([structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, *shared], render)


def request(**facts: str | float) -> None:
    """Write the access line of a request. Every request has one, so it goes the short way to stderr: `facts` are
    names, numbers, and texts that went through `redaction`."""
    _stderr.msg(str(_render(None, "info", _stamp(None, "info", {"event": "request", "level": "info", **facts}))))


class _Stderr:
    """Writes each line in one piece, so that threads and processes do not mix theirs."""

    def msg(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    debug = info = warning = error = critical = msg


class _Handler(logging.StreamHandler[Any]):
    """Ours among the handlers of the root logger; follows `sys.stderr` wherever it goes."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _take_over_libraries(shared: list[structlog.types.Processor], render: structlog.types.Processor) -> None:
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
            use_get_message=True,
        )
    )
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, _Handler)] + [handler]
    root.setLevel(logging.WARNING)


def _stamp(_: Any, __: str, event: Event) -> Event:
    said = {"at": clock.iso(clock.now()), "level": event.pop("level", "info"), "event": event.pop("event", "")}
    return {**said, "request_id": correlation.current().request_id, **event}


class _Exceptions:
    """Replaces `exc_info` by the kind of the exception and where it happened, without the values that were there."""

    def __init__(self, messages: bool) -> None:
        self._messages = messages

    def __call__(self, _: Any, __: str, event: Event) -> Event:
        info = event.pop("exc_info", None)
        error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
        if isinstance(error, BaseException):
            event["exception"] = f"{type(error).__module__}.{type(error).__qualname__}"
            event["where"] = _where(error.__traceback__)
            if self._messages:
                event["said"] = str(error)
        return event


def _where(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-FRAMES:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def _redact(_: Any, __: str, event: Event) -> Event:
    return {name: value if name.startswith("_") else redaction.of(name, value) for name, value in event.items()}


_encode = json.JSONEncoder(default=repr, separators=(",", ":")).encode


def _json(_: Any, __: str, event: Event) -> str:
    return _encode(event)


_text = structlog.dev.ConsoleRenderer(colors=False, timestamp_key="at", sort_keys=False)
_render: structlog.types.Processor = _json
_stderr = _Stderr()
