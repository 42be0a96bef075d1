"""How the endpoints for programs are mounted: with the answers and refusals of OAuth, and with CORS around both."""

from flask import Flask

from idp.oauth import cors
from idp.oauth.cors import Policy
from idp.oauth.views.phrase import phrase as as_oauth
from idp.platform import lane
from idp.platform.lane import Endpoint, Phrase, Rule


def mount(
    app: Flask,
    path: str,
    rule: Rule,
    *,
    methods: tuple[str, ...] = ("POST",),
    phrase: Phrase = as_oauth,
    readable_by: Policy = cors.registered,
) -> None:
    """Serve `rule` at `path` to programs, and to scripts as `readable_by` says."""
    open_rule = cors.readable_by(readable_by, Endpoint(rule, methods, phrase))
    lane.mount(app, path, open_rule, methods=(*methods, cors.PREFLIGHT), phrase=phrase)
