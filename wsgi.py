"""What a WSGI server starts: the provider, as the environment configures it."""

import os

from idp.app import create_app
from idp.platform.settings import Settings, forget_secrets

app = create_app(Settings.load(os.environ))
forget_secrets(os.environ)
