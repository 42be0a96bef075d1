"""How a no is told: to people as a page that leads on, to programs as a problem, to nobody more than they may know."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask

from idp.platform import access, catalogues, i18n, pages, phrasing
from idp.platform.access import Undeclared
from idp.platform.errors import Refusal
from idp.platform.http_refusals import NoSuchPage
from tests.platform import sites
from tests.platform.sites import PAGE, PROGRAM, Site

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}


class _Words(HTMLParser):
    """What a person reads, and the attributes of `<body>`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.body: dict[str, str | None] = {}
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self.body = dict(attrs)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def test_a_page_says_what_happened_what_to_do_and_the_reference(site: Site) -> None:
    answer = site.client.get("/nowhere", headers=BROWSER)
    words = _Words(answer.text)
    assert (answer.status_code, words.body["data-page"], words.body["data-error"]) == (404, "error", "no_such_page")
    for sentence in (
        "Something went wrong",
        "There is no page at this address.",
        "start again at the application that you wanted to use.",
        answer.headers["X-Request-Id"],
        "no_such_page",
        "Who can fix it",
    ):
        assert sentence in words.text
    assert "<title>Something went wrong - Canopy</title>" in answer.text


def test_particulars_are_told_and_escaped(site: Site) -> None:
    page = site.client.get("/probe/conflict", headers=BROWSER).text
    assert "Olivia &lt;b&gt;is&lt;/b&gt; the owner." in page
    assert "<b>is</b>" not in page


def test_a_problem_names_its_type_and_its_request(site: Site) -> None:
    answer = site.client.get("/probe/invalid", headers=PROGRAM)
    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "http://localhost:8000/error/invalid",
        "title": "A value cannot be accepted",
        "status": 422,
        "detail": "is not a name",
        "code": "invalid",
        "request_id": answer.headers["X-Request-Id"],
        "errors": [{"pointer": "/name", "message": "is not a name"}],
    }


@pytest.mark.parametrize(
    ("path", "accept", "page"),
    [
        ("/nowhere", BROWSER["Accept"], True),
        ("/nowhere", "*/*", True),
        ("/nowhere", "", True),
        ("/nowhere", "application/json", False),
        ("/nowhere", "application/json, text/plain, */*", False),
        ("/nowhere", "text/html;q=0.5, application/json", False),
        ("/nowhere", "application/problem+json", False),
        ("/nowhere", "image/png", True),
        ("/api/v1/users", BROWSER["Accept"], False),
        ("/scim/v2/x/Users", "application/scim+json", False),
        ("/oauth2/token", "*/*", False),
        ("/oauth2/token", "", False),
        ("/oauth2/authorize", BROWSER["Accept"], True),
        ("/oauth2/authorize", "*/*", True),
        ("/oauth2/authorize", "application/json", False),
        ("/oauth2/logout", "", True),
        ("/.well-known/nothing", "*/*", False),
        ("/healthz/x", "*/*", False),
        ("/nowhere", "q=" * 5000, True),
    ],
)
def test_people_get_pages_and_programs_get_problems(path: str, accept: str, page: bool) -> None:
    assert phrasing.wants_page(path, accept) is page


# HTT-06 and API-03: what is not told


@pytest.mark.rule("HTT-06")
@pytest.mark.rule("API-03")
@pytest.mark.parametrize("path", ["/probe/boom", "/api/boom"])
@pytest.mark.parametrize("accept", [PAGE, PROGRAM], ids=["page", "program"])
@pytest.mark.parametrize("debug", [False, True])
def test_an_unexpected_error_shows_the_reference_and_nothing_else(
    site: Site, path: str, accept: dict[str, str], debug: bool
) -> None:
    site.app.testing = debug
    answer = site.client.get(path, headers=accept)
    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"] in answer.text
    for hidden in (site.secret, "SELECT", "/srv", "Traceback", "RuntimeError", ".py", "Werkzeug", "Flask", "lask/"):
        assert hidden not in answer.text + str(answer.headers)


@pytest.mark.rule("HTT-06")
def test_debugging_cannot_be_switched_on_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    with sites.site(tmp_path, rules="development") as found:
        assert found.app.debug is False
        assert found.client.get("/probe/boom", headers=PAGE).status_code == 500


@pytest.mark.rule("HTT-06")
def test_even_a_broken_error_page_tells_only_the_reference(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError(site.secret)

    monkeypatch.setattr(phrasing, "answer", broken)
    answer = site.client.get("/nowhere")
    assert answer.status_code == 500
    assert answer.text == f"Something went wrong. Reference: {answer.headers['X-Request-Id']}\n"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_database_that_is_away_is_said_so_with_a_time_to_come_back(site: Site) -> None:
    answer = site.client.get("/probe/away", headers=PROGRAM)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.get_json()["code"] == "database_unavailable"
    assert site.secret not in answer.text


def test_trying_again_is_offered_where_it_can_help(site: Site) -> None:
    assert "Try again</a>" in site.client.get("/probe/boom", headers=PAGE).text
    assert "Try again</a>" not in site.client.get("/nowhere", headers=PAGE).text
    assert "Try again</a>" not in site.client.post("/probe/boom", headers=PAGE).text


def test_the_start_page_is_offered(site: Site) -> None:
    link = '<a class="btn quiet full" href="/">Go to the start page</a>'
    with site.app.test_request_context():
        assert link in phrasing.answer(NoSuchPage(), "/nowhere", "").body.decode()


# The catalogue


def test_every_code_has_a_page_that_explains_it(site: Site) -> None:
    for code, kind in phrasing.catalogue().items():
        answer = site.client.get(f"/error/{code}", headers=BROWSER)
        words = _Words(answer.text)
        assert (answer.status_code, words.body["data-error"]) == (200, code)
        assert kind.title in words.text


@pytest.mark.parametrize("code", ["nothing", "Refused", "not_found%0a", "<script>", "a" * 300])
def test_the_catalogue_shows_only_its_own_codes(site: Site, code: str) -> None:
    answer = site.client.get(f"/error/{code}", headers=BROWSER)
    assert answer.status_code in (400, 404)
    assert "<script" not in answer.text


@pytest.mark.rule("API-04")
def test_what_is_to_be_typed_is_shown_as_such_and_everything_else_as_text() -> None:
    assert pages.quoted("Say `idp setup`.") == 'Say <code dir="ltr" translate="no">idp setup</code>.'
    assert pages.quoted("`<b>` & <i>") == '<code dir="ltr" translate="no">&lt;b&gt;</code> &amp; &lt;i&gt;'


def test_a_code_is_said_by_one_class_and_what_it_says_is_whole() -> None:
    waiting, seen = [Refusal], dict[str, type[Refusal]]()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if "code" in vars(kind):
            assert seen.setdefault(kind.code, kind) is kind, f"{kind.code} is said by two classes"
            assert re.fullmatch(r"[a-z][a-z0-9_]*", kind.code)
        assert 400 <= kind.status < 600
        assert kind.title
        assert not kind.title.endswith(".")
        assert kind.remedy.endswith(".")


# Languages


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "spoken"),
    [
        ("", "", "", "en"),
        ("", "", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "", "zh-CN, fr;q=0.5, de;q=0.7", "de"),
        ("", "", "pt-PT", "pt-BR"),
        ("", "", "pt-br", "pt-BR"),
        ("", "", "de;q=0, es", "es"),
        ("", "", "de;q=x, es", "es"),
        ("", "", "*", "en"),
        ("", "fr", "de", "fr"),
        ("", "xx", "de", "de"),
        ("ui_locales=ar", "fr", "de", "ar"),
        ("ui_locales=zh+ja+de", "fr", "de", "ja"),
        ("ui_locales=zh", "fr", "de", "fr"),
        ("ui_locales=xx-long", "", "de", "de"),
    ],
)
def test_the_request_names_the_language(site: Site, query: str, cookie: str, accept: str, spoken: str) -> None:
    if cookie:
        site.client.set_cookie("idp_locale", cookie, domain="localhost")
    page = site.client.get(f"/nowhere?{query}", headers={"Accept-Language": accept, **PAGE}).text
    assert f'<html lang="{spoken}" dir="{"rtl" if spoken == "ar" else "ltr"}">' in page


def test_a_chosen_language_is_remembered_by_this_browser(site: Site) -> None:
    chosen = site.client.get("/nowhere?ui_locales=de", headers=PAGE)
    assert chosen.headers["Set-Cookie"] == "idp_locale=de; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000"
    assert "Etwas ist schiefgelaufen" in site.client.get("/nowhere", headers=PAGE).text
    assert "Set-Cookie" not in site.client.get("/nowhere?ui_locales=zh", headers=PAGE).headers
    assert "Set-Cookie" not in site.client.get("/nowhere?ui_locales=de", headers=PROGRAM).headers


def test_behind_https_the_cookie_is_bound_to_the_host(tmp_path: Path) -> None:
    with sites.site(tmp_path, issuer="https://id.example.com") as found:
        cookie = found.client.get("/nowhere?ui_locales=de", headers=PAGE).headers["Set-Cookie"]
    assert cookie == "__Host-idp_locale=de; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000; Secure"


def test_two_cookies_of_one_name_count_for_nothing(site: Site) -> None:
    client = site.app.test_client(use_cookies=False)
    twice = client.get("/nowhere", headers={"Cookie": "idp_locale=de; idp_locale=fr", **PAGE}).text
    assert '<html lang="en"' in twice


def test_other_parameters_survive_a_change_of_language(site: Site) -> None:
    page = site.client.get("/nowhere?txn=a%26b&ui_locales=fr", headers=PAGE).text
    assert 'href="?txn=a%26b&amp;ui_locales=de"' in page


@pytest.fixture(scope="module")
def said() -> set[str]:
    """What pages can say now: templates, and what is refused before any room is asked."""
    places = (".html", "errors.py", "http_refusals.py", "health.py", "phrasing.py", "database.py", "strict_json.py")
    return {
        str(message.id)
        for message in catalogues.sentences()
        for place, _ in message.locations
        if place.endswith(places)
    }


@pytest.mark.parametrize("tag", [tag for tag in i18n.LOCALES if tag != "en"])
def test_what_pages_say_is_said_in_every_language(tag: str, said: set[str]) -> None:
    known = {str(message.id) for message in catalogues.read(tag) if message.string}
    assert said - known == set(), "python -m idp.platform.catalogues, then translate"


@pytest.mark.parametrize("tag", [tag for tag in i18n.LOCALES if tag != "en"])
def test_translations_keep_the_gaps_that_are_filled_in(tag: str) -> None:
    gap = re.compile(r"%\(\w+\)s|`[^`]+`")
    for message in catalogues.read(tag):
        if message.id and message.string:
            said, meant = gap.findall(str(message.string)), gap.findall(str(message.id))
            assert set(said) == set(meant), message.id
            assert message.pluralizable or len(said) == len(meant), message.id


def test_the_language_for_tests_is_longer_and_only_for_development(tmp_path: Path) -> None:
    with sites.site(tmp_path, rules="development") as found:
        page = found.client.get("/nowhere?ui_locales=xx-long", headers=PAGE).text
    assert "⟦Something went wrong" in page
    assert page.count("⟦") == page.count("⟧") >= 6


# Permissions


def test_a_route_that_does_not_say_what_it_needs_does_not_start(site: Site) -> None:
    access.check(site.app)
    site.app.add_url_rule("/open", "forgotten", lambda: "")
    with pytest.raises(Undeclared, match="these routes declare no permission: forgotten"):
        access.check(site.app)


def test_every_application_is_checked_at_its_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from idp import app

    def careless(found: Flask) -> None:
        found.add_url_rule("/open", "forgotten", lambda: "")

    monkeypatch.setattr(app, "_open_rooms", careless)
    with pytest.raises(Undeclared), sites.site(tmp_path):
        pass
