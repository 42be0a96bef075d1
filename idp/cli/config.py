"""`idp config`: what the environment amounts to."""

import os

from idp.cli.door import Noun
from idp.cli.output import Json
from idp.platform.settings import Settings

config = Noun("config", help="The settings, as the environment and the file amount to.")


@config.command("show", needs="nothing")
def show() -> Json:
    """Every setting with its value and where it comes from; secrets are masked."""
    return [
        {"name": shown.name, "value": shown.value, "source": shown.source}
        for shown in Settings.load(os.environ).shown()
    ]


@config.command("check", needs="nothing")
def check() -> Json:
    """Say whether the provider would start like this; status 0 only if it would."""
    settings = Settings.load(os.environ)
    return {"settings": "fine", "issuer": settings.issuer, "rules": settings.rules}
