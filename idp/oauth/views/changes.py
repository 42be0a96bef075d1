"""`/oauth2/changes`: the change feed for services that refuse superseded tokens. Answered from memory, never cached.

APIs that authenticate in the header ask by GET; those that do so in the body send the same parameters as a form.
"""

import json
import re
from typing import Final

from flask import Flask

from idp.feed import acknowledgements, follower
from idp.feed.follower import Changes, Superseding
from idp.oauth.errors import InvalidRequest
from idp.oauth.views import machine
from idp.oauth.views.authentication import authenticate_server
from idp.oauth.views.phrase import as_resource
from idp.platform.access import public
from idp.platform.calls import Answer, Call
from idp.platform.forms import Fields

_POSITION: Final = re.compile(r"[0-9]{1,18}")
_INSTANCE: Final = re.compile(r"[A-Za-z0-9._:@-]{1,64}")


def init(app: Flask) -> None:
    """Serve the endpoint in `app`."""
    machine.mount(app, "/oauth2/changes", changes, methods=("GET", "POST"), phrase=as_resource)


@public
def changes(call: Call) -> Answer:
    """What was taken away after `since`, known at least up to `min`; `since` is noted as what `instance` has taken in.

    Raises `CursorExpired` and `Behind` as the follower does.
    """
    client = authenticate_server(call)
    sent = call.parameters if call.method == "GET" else call.form
    since, at_least, instance = _position(sent, "since"), _position(sent, "min"), _instance(sent)
    found = follower.of_this_process().changes_since(since, at_least=at_least or 0)
    if since is not None and instance:
        acknowledgements.note(client.id, instance, since)
    return Answer.json(_told(found))


def _told(found: Changes) -> dict[str, object]:
    return {
        "head": found.head,
        "floor": found.floor,
        "age_ms": found.age_ms,
        "window_s": found.window_s,
        "changes": [_entry(entry) for entry in found.entries],
        "more": found.more,
    }


def _entry(entry: Superseding) -> dict[str, object]:
    return {"p": entry.position, "kind": entry.kind, "match": json.loads(entry.match)}


def _position(sent: Fields, name: str) -> int | None:
    """The position that was sent under `name`, if any. Raises `InvalidRequest` for what is none."""
    value = sent.get(name)
    if not value:
        return None
    if not _POSITION.fullmatch(value):
        raise InvalidRequest(f"{name} is not a position of the change feed")
    return int(value)


def _instance(sent: Fields) -> str:
    value = sent.get("instance") or ""
    if value and not _INSTANCE.fullmatch(value):
        raise InvalidRequest("instance: up to 64 letters, digits and ._:@- are expected")
    return value
