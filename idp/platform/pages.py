"""Pages: how templates are rendered, and what each of them may use without being handed it."""

import re
from typing import Any, Literal

from flask import Flask, current_app
from jinja2 import StrictUndefined
from markupsafe import Markup, escape

from idp.platform import appearance, assets, clock, i18n
from idp.platform.calls import HTML, Answer

PRODUCT = "Canopy"
"""The name that pages show where no organization and no application is concerned."""


def init(app: Flask) -> None:
    """Give the templates of `app` translations, languages and static files; an unknown name in one is an error."""
    app.jinja_options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = app.jinja_env
    environment.add_extension("jinja2.ext.i18n")
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters["quoted"] = quoted
    environment.globals.update(
        asset=assets.path_of,
        instant=instant,
        iso=clock.iso,
        language=i18n.locale,
        direction=i18n.direction,
        languages=lambda: i18n.wish().alternatives(),
        product=PRODUCT,
        theme=lambda: appearance.current().theme,
    )


def instant(at: int, to_the: Literal["minute", "second"] = "minute") -> str:
    """`at` (microseconds since 1970 UTC) on the clocks of whoever looks at the page."""
    return i18n.instant(at, appearance.current().zone, to_the=to_the, names_zone=False)


def quoted(sentence: str) -> Markup:
    """`sentence` as HTML, what stands between backticks in it as code: a command or a name that is to be typed."""
    return Markup(_QUOTED.sub(r'<code dir="ltr" translate="no">\1</code>', str(escape(sentence))))  # noqa: S704 escaped


_QUOTED = re.compile(r"`([^`]+)`")


def page(template: str, status: int = 200, **values: Any) -> Answer:
    """`template` with `values`, in the language of the request; needs no request of Flask's."""
    html = current_app.jinja_env.get_template(template).render(values)
    return Answer(status, html.encode(), HTML, (("Vary", "Cookie, Accept-Language"),))
