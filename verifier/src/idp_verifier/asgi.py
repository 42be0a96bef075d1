"""For services in ASGI (Starlette, FastAPI, Quart, …): a middleware that verifies the token of every request."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from idp_verifier.bearer import token_in
from idp_verifier.principal import Principal
from idp_verifier.refusals import Refusal
from idp_verifier.verifier import Verifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PRINCIPAL = "canopy.principal"
"""Where in the scope of a request its `Principal` is found."""


class BearerMiddleware:
    """Lets requests through to `app` with their `Principal` in the scope, and answers the others.

    `public`: paths that need no token. A `Refusal` that `app` raises before it began to answer is answered, too.
    What asks the provider runs in a thread; whoever asks a principal about an account does so in one as well
    (`await asyncio.to_thread(principal.require, …)`). A websocket is decided on once, when it is opened: who keeps one
    for long verifies the token again.
    """

    def __init__(self, app: Application, verifier: Verifier, public: Iterable[str] = ()) -> None:
        self._app, self._verifier, self._public = app, verifier, frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface. Raises `ValueError` for what is neither HTTP, nor a websocket, nor the lifespan."""
        if scope["type"] not in ("http", "websocket", "lifespan"):
            raise ValueError(f"what is a scope of type {scope['type']}?")
        if scope["type"] == "lifespan" or scope["path"] in self._public:
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            principal = await self._admitted(scope)
            await self._app({**scope, PRINCIPAL: principal}, receive, watched)
        except Refusal as refusal:
            if has_begun:
                raise
            await _answer(refusal, scope, send)

    async def _admitted(self, scope: Scope) -> Principal:
        named = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]
        reads = scope.get("method") in ("GET", "HEAD")
        return await asyncio.to_thread(self._verifier.verify, token_in(named), reads=reads)


async def _answer(refusal: Refusal, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps(refusal.body()).encode()
    told = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers()}
    headers = [(name.lower().encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
