"""How a refusal is told: as a page to people, as a problem document (RFC 9457) to programs. Decided here, once."""

import json
from dataclasses import dataclass

from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.http import parse_accept_header

from idp.platform import clock, correlation, http_refusals, i18n, pages
from idp.platform.calls import Answer
from idp.platform.errors import Forbidden, Invalid, Refusal
from idp.platform.i18n import gettext as _
from idp.platform.settings import settings

PROBLEM = "application/problem+json"

_PROGRAMS_ONLY = ("/api/", "/scim/")
_PEOPLE_FIRST = ("/oauth2/authorize", "/oauth2/logout")
_PROGRAMS_FIRST = ("/oauth2/", "/access/", "/.well-known/", "/static/", "/healthz", "/readyz", "/metrics")
_KINDS = {False: ("text/html", PROBLEM, "application/json"), True: (PROBLEM, "application/json", "text/html")}


def wants_page(path: str, accept: str) -> bool:
    """Whether whoever asked for `path` with this `Accept` header is a person at a browser."""
    if path.startswith(_PROGRAMS_ONLY):
        return False
    offered = _KINDS[path.startswith(_PROGRAMS_FIRST) and not path.startswith(_PEOPLE_FIRST)]
    chosen = parse_accept_header(accept[:2000], MIMEAccept).best_match(offered, offered[0])
    return chosen == "text/html"


def answer(refusal: Refusal, path: str, accept: str, *, retryable: bool = False) -> Answer:
    """`refusal` in the form that whoever asked for `path` understands.

    `retryable`: the request changed nothing, so asking again is a way on.
    """
    told = _page(refusal, retryable=retryable) if wants_page(path, accept) else problem(refusal)
    return told.with_headers(*_headers(refusal))


def problem(refusal: Refusal) -> Answer:
    """`refusal` as a problem document; it says what the caller may know, and where to read on."""
    body: dict[str, object] = {
        "type": f"{settings().issuer}/error/{refusal.code}",
        "title": refusal.title,
        "status": refusal.status,
        "detail": refusal.message,
        "code": refusal.code,
        "request_id": correlation.current().request_id,
    }
    if isinstance(refusal, Invalid) and refusal.field:
        body["errors"] = [{"pointer": f"/{refusal.field}", "message": refusal.message}]
    return Answer(refusal.status, json.dumps(body).encode(), PROBLEM)


def entry(code: str) -> Answer:
    """The page of the catalogue that explains the refusals with this `code`, without a word of any request."""
    kind = catalogue().get(code)
    if kind is None:
        raise http_refusals.NoSuchPage
    explained = kind.__new__(kind)
    Refusal.__init__(explained)
    return _page(explained, status=200)


def catalogue() -> dict[str, type[Refusal]]:
    """Every code of this house with the class that says it first."""
    found: dict[str, type[Refusal]] = {}
    waiting: list[type[Refusal]] = [Refusal]
    while waiting:
        kind = waiting.pop(0)
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return found


def of(error: HTTPException) -> Refusal:
    """What Flask and Werkzeug refuse, in our words."""
    if isinstance(error, MethodNotAllowed):
        return http_refusals.WrongMethod(tuple(sorted(error.valid_methods or ())))
    kinds = {
        404: http_refusals.NoSuchPage,
        413: http_refusals.TooLarge,
        414: http_refusals.AddressTooLong,
        415: http_refusals.WrongMediaType,
        431: http_refusals.HeadersTooLarge,
    }
    status = error.code or 500
    return kinds.get(status, http_refusals.Malformed if status < 500 else http_refusals.Bug)()


@dataclass(frozen=True)
class Fact:
    """One line of the technical details: its name, and a value that is `technical` (shown as it is) or a sentence."""

    name: str
    value: str
    technical: bool = True


def _page(refusal: Refusal, status: int | None = None, *, retryable: bool = False) -> Answer:
    """In English the particulars of the instance are told; other languages have the words of its class."""
    title, particulars = _(refusal.title), refusal.message if refusal.message != refusal.title else ""
    return pages.page(
        "errors/error.html",
        status or refusal.status,
        code=refusal.code,
        headline=_sentence(particulars if particulars and i18n.locale() == "en" else title),
        remedy=_(refusal.remedy),
        grave=refusal.status >= 500,
        retryable=retryable and status is None and refusal.status >= 500,
        restart=getattr(refusal, "start", None) if status is None else None,
        reference=correlation.current().request_id,
        at=clock.now(),
        facts=_facts(refusal, particulars),
    )


def _sentence(words: str) -> str:
    """`words` with a full stop at their end, as the current language writes one."""
    return words if words.endswith(_STOPS) else _("%(words)s.", words=words)


_STOPS = (".", "!", "?", "。", "؟")


def _facts(refusal: Refusal, particulars: str) -> list[Fact]:
    facts = [Fact(_("Code"), refusal.code), Fact(_("Who can fix it"), _who(refusal), technical=False)]
    if particulars and i18n.locale() != "en":
        facts.append(Fact(_("Details"), particulars))
    return facts


def _who(refusal: Refusal) -> str:
    if refusal.status >= 500:
        return _("The people who run this service. The reference leads them to the cause.")
    if isinstance(refusal, Forbidden):
        return _("An administrator of your organization.")
    return _("You. If it comes back at once: the developer of the application that sent you here.")


def _headers(refusal: Refusal) -> tuple[tuple[str, str], ...]:
    headers = []
    if isinstance(refusal, http_refusals.WrongMethod):
        headers.append(("Allow", ", ".join(refusal.allowed)))
    if isinstance(refusal, http_refusals.Unauthenticated):
        headers.append(("WWW-Authenticate", refusal.challenge))
    if retry_after := getattr(refusal, "retry_after", None):
        headers.append(("Retry-After", str(retry_after)))
    return tuple(headers)
