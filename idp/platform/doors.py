"""What every door in Flask stands on: requests read strictly, refusals told in one way, routes known by name."""

from typing import IO, Any

from flask import Flask, Request, Response, request
from flask.json.provider import DefaultJSONProvider
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import ImmutableMultiDict, MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser

from idp.platform import assets, forms, lane, phrasing, strict_json
from idp.platform.access import public
from idp.platform.calls import read_all
from idp.platform.errors import Refusal
from idp.platform.forms import BODY_LIMIT, FIELD_LIMIT

_Parsed = tuple[IO[bytes], MultiDict[str, str], MultiDict[str, Any]]


class _StrictForms(FormDataParser):
    """Form bodies as `forms` reads them, in Werkzeug's clothes."""

    def _parse_urlencoded(self, stream: IO[bytes], *_: Any) -> _Parsed:
        return stream, self.cls(list(forms.decode(read_all(stream)))), self.cls()

    def _parse_multipart(self, *given: Any) -> _Parsed:
        stream, fields, files = super()._parse_multipart(*given)
        for name, value in fields.items(multi=True):
            forms.refuse_nul(name, value)
        return stream, fields, files


class StrictRequest(Request):
    """Flask's request with our limits; what is not UTF-8, or contains NUL, is refused and not repaired."""

    form_data_parser_class = _StrictForms
    max_content_length = BODY_LIMIT
    max_form_memory_size = BODY_LIMIT
    max_form_parts = FIELD_LIMIT

    @property
    def args(self) -> MultiDict[str, str]:
        """The query, read strictly."""
        return ImmutableMultiDict(list(forms.decode(self.query_string)))


class _StrictJson(DefaultJSONProvider):
    """`request.get_json()` reads what `strict_json` reads."""

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return strict_json.loads(s)


def init(app: Flask) -> None:
    """Wire what every door of `app` stands on."""
    app.request_class = StrictRequest
    app.json = _StrictJson(app)
    app.before_request(_name_route)
    app.register_error_handler(HTTPException, _tell_http)
    app.register_error_handler(Refusal, tell)
    app.register_error_handler(Exception, _tell_unexpected)
    app.add_url_rule("/static/<version>/<path:name>", "static", _static)
    app.add_url_rule("/error/<code>", "error", _explain)


def _name_route() -> None:
    """The route, and not the path, is what metrics and logs are told."""
    if request.url_rule:
        request.environ["canopy.route"] = request.url_rule.rule


def tell(refusal: Refusal) -> Response:
    """The refusal as whoever asks reads it."""
    retryable = request.method == "GET"
    return lane.response(phrasing.answer(refusal, request.path, request.headers.get("Accept", ""), retryable=retryable))


def _tell_http(error: HTTPException) -> ResponseReturnValue:
    """Redirects pass; everything else is phrased as a refusal of ours."""
    return error.get_response() if (error.code or 500) < 400 else tell(phrasing.of(error))


def _tell_unexpected(error: Exception) -> Response:
    return tell(lane.unexpected(error))


@public
def _static(version: str, name: str) -> Response:
    return lane.response(assets.serve(version, name))


@public
def _explain(code: str) -> Response:
    return lane.response(phrasing.entry(code))
