"""What every request passes: its id, its limits, the host, the headers of the answer, and what is never believed."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.platform import correlation, gate, schema
from idp.platform.forms import BODY_LIMIT, FIELD_LIMIT
from tests.platform import sites
from tests.platform.sites import PAGE, PROGRAM, Site

PROXY = {"REMOTE_ADDR": "10.0.0.1"}
PART = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n%b\r\n'
EVERY_PATH = ["/healthz", "/readyz", "/metrics", "/.well-known/security.txt", "/nowhere", "/error/not_found",
              "/static/0/canopy.css", "/probe/boom", "/api/boom", "/probe/machine"]  # fmt: skip


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Site]:
    """A provider behind one proxy at 10.0.0.1, reached by https."""
    with sites.site(tmp_path, issuer="https://id.example.com", trusted_proxies="10.0.0.1") as found:
        yield found


# HTT-01 and HTT-02: headers of answers


@pytest.mark.rule("HTT-01")
@pytest.mark.parametrize("path", EVERY_PATH)
def test_every_answer_carries_the_security_headers(site: Site, path: str) -> None:
    headers = site.client.get(path, headers=PAGE).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert policy["form-action"] == policy["style-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


@pytest.mark.rule("HTT-01")
def test_hsts_goes_with_an_https_issuer_and_only_with_one(site: Site, proxied: Site) -> None:
    assert "max-age=63072000" in proxied.client.get("/healthz").headers["Strict-Transport-Security"]
    claimed = site.client.get("/healthz", headers={"X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" not in claimed.headers


@pytest.mark.rule("HTT-01")
def test_pages_contain_no_inline_style_or_script(site: Site) -> None:
    page = site.client.get("/nowhere", headers=PAGE).text
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", page)


@pytest.mark.rule("HTT-02")
@pytest.mark.parametrize("path", sorted(set(EVERY_PATH) - {"/.well-known/security.txt", "/static/0/canopy.css"}))
def test_answers_are_not_stored(site: Site, path: str) -> None:
    assert site.client.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.rule("HTT-02")
def test_static_files_are_immutable_under_a_name_with_their_hash(site: Site) -> None:
    page = site.client.get("/nowhere", headers=PAGE)
    path = re.findall(r'href="(/static/[0-9a-f]{16}/canopy\.css)"', page.text)[0]
    sheet = site.client.get(path)
    assert sheet.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert sheet.content_type == "text/css; charset=utf-8"
    other_release = site.client.get("/static/0123456789abcdef/canopy.css")
    assert (other_release.data, other_release.headers["Cache-Control"]) == (sheet.data, "no-cache")
    assert site.client.get(path.replace("canopy", "none")).status_code == 404


@pytest.mark.rule("HTT-02")
def test_what_differs_by_cookie_says_so(site: Site) -> None:
    assert "Cookie" in site.client.get("/nowhere", headers=PAGE).headers["Vary"]


# HTT-03: hosts and hearsay


@pytest.mark.rule("HTT-03")
@pytest.mark.parametrize("host", ["evil.test", "localhost", "localhost:8001", "localhost.evil.test", "127.0.0.1:8000"])
def test_an_unknown_host_is_refused(site: Site, host: str) -> None:
    answer = site.client.get("/nowhere", headers={"Host": host, **PROGRAM})
    assert (answer.status_code, answer.get_json()["code"]) == (421, "wrong_host")
    assert host not in answer.text.replace("http://localhost:8000/error", "")


@pytest.mark.rule("HTT-03")
@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost:8000,evil.test",
        "localhost:8000, localhost:8000",
        "localhost:8000/x",
        "a b",
        "user@localhost:8000",
    ],
)
def test_no_host_or_two_of_them_are_refused(site: Site, host: str) -> None:
    answer = site.client.get("/nowhere", headers={"Host": host}, environ_overrides={"HTTP_HOST": host})
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_may_name_any_host(site: Site, path: str) -> None:
    assert site.client.get(path, headers={"Host": "10.1.2.3:9000"}).status_code in (200, 503)


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "10.1.2.3", "[::1]:9000", "localhost:9000"])
def test_metrics_are_read_by_address(site: Site, host: str) -> None:
    assert site.client.get("/metrics", headers={"Host": host}).status_code == 200


@pytest.mark.rule("HTT-03")
@pytest.mark.parametrize("host", ["rebound.evil.test", "127.0.0.1.evil.test:9000", "localhost.evil.test", ""])
def test_metrics_are_not_read_under_a_name_of_somebody_elses(site: Site, host: str) -> None:
    answer = site.client.get("/metrics", headers={"Host": host}, environ_overrides={"HTTP_HOST": host})
    assert answer.status_code in (400, 421)


@pytest.mark.rule("HTT-03")
@pytest.mark.parametrize(
    "hearsay",
    [
        {"X-Forwarded-Host": "evil.test"},
        {"Forwarded": "host=evil.test;proto=https"},
        {"X-Forwarded-Proto": "https", "X-Forwarded-Port": "444"},
        {"X-Original-URL": "/healthz"},
        {"X-Rewrite-URL": "/healthz"},
        {"X-Forwarded-Prefix": "/evil"},
    ],
)
@pytest.mark.parametrize("peer", ["10.0.0.1", "203.0.113.9"])
def test_nobody_tells_us_who_we_are(proxied: Site, hearsay: dict[str, str], peer: str) -> None:
    seen: dict[str, object] = {}

    @proxied.app.before_request
    def look() -> None:
        from flask import request, url_for

        seen.update(url=request.url, built=url_for("error", code="x", _external=True), left=dict(request.headers))

    socket = {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http", "SERVER_NAME": "10.9.9.9", "SERVER_PORT": "9000"}
    proxied.client.get("/nowhere", headers={"Host": "ID.example.com:443", **hearsay}, environ_overrides=socket)
    assert seen["url"] == "https://id.example.com/nowhere"
    assert seen["built"] == "https://id.example.com/error/x"
    assert not set(hearsay) & set(seen["left"])  # type: ignore[call-overload]


@pytest.mark.rule("HTT-03")
@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_is_not_overridden(site: Site, header: str) -> None:
    answer = site.client.post("/probe/conflict", headers={header: "GET", **PROGRAM}, data={"_method": "GET"})
    assert answer.status_code == 405


@pytest.mark.rule("HTT-03")
def test_the_address_is_that_behind_our_proxy(proxied: Site, capsys: pytest.CaptureFixture[str]) -> None:
    forwarded = {"X-Forwarded-For": "6.6.6.6, 198.51.100.7"}
    proxied.client.get("/nowhere", headers=forwarded, environ_overrides=PROXY)
    proxied.client.get("/nowhere", headers=forwarded, environ_overrides={"REMOTE_ADDR": "203.0.113.9"})
    addresses = [line["address"] for line in sites.lines(capsys.readouterr().err)]
    assert addresses == ["198.51.100.7", "203.0.113.9"]


# Request ids


@pytest.mark.parametrize("path", EVERY_PATH)
def test_every_answer_carries_the_id_of_its_request(site: Site, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    reference = site.client.get(path).headers["X-Request-Id"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{8,64}", reference)
    assert {line["request_id"] for line in sites.lines(capsys.readouterr().err)} == {reference}


@pytest.mark.parametrize("offered", ["edge-0123456789", "a" * 64])
def test_a_proxy_may_name_the_request(proxied: Site, offered: str) -> None:
    answer = proxied.client.get("/healthz", headers={"X-Request-Id": offered}, environ_overrides=PROXY)
    assert answer.headers["X-Request-Id"] == offered


@pytest.mark.rule("HTT-03")
@pytest.mark.parametrize(
    ("offered", "peer"),
    [("edge-0123456789", "203.0.113.9"), ("short", "10.0.0.1"), ("a" * 65, "10.0.0.1"), ("<b>bold</b>", "10.0.0.1")],
)
def test_nobody_else_names_it_and_not_in_any_form(proxied: Site, offered: str, peer: str) -> None:
    answer = proxied.client.get("/healthz", headers={"X-Request-Id": offered}, environ_overrides={"REMOTE_ADDR": peer})
    assert answer.headers["X-Request-Id"] != offered


def test_the_work_in_hand_ends_with_its_request(site: Site) -> None:
    before = correlation.current()
    site.client.get("/healthz")
    assert correlation.current() is before


# HTT-05: limits and malformed input


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/" + "a" * gate.TARGET_LIMIT, 414),
        ("/nowhere?" + "a" * gate.TARGET_LIMIT, 414),
        ("/%ff", 400),
        ("/%00", 400),
        ("/a%0d%0aSet-Cookie:x", 400),
        ("/%ED%A0%80", 400),
        ("/nowhere?a=%ff", 400),
        ("/nowhere?a=%00", 400),
        ("/nowhere?%C0%AF", 400),
        ("/probe/query?" + "&".join(["a"] * (FIELD_LIMIT + 1)), 413),
    ],
)
@pytest.mark.parametrize("accepted", [PAGE, PROGRAM], ids=["page", "program"])
def test_a_target_that_cannot_be_read_is_refused(site: Site, path: str, status: int, accepted: dict[str, str]) -> None:
    raw, _, query = path.partition("?")
    target = {"PATH_INFO": unquote_to_bytes(raw).decode("latin-1"), "QUERY_STRING": query}
    answer = site.client.get("/", headers=accepted, environ_overrides=target)
    assert answer.status_code == status
    assert answer.content_type.startswith(accepted["Accept"].replace("application/json", "application/problem+json"))


@pytest.mark.rule("HTT-05")
def test_headers_have_a_limit_and_cookies_one_of_their_own(site: Site) -> None:
    client = site.app.test_client(use_cookies=False)
    assert client.get("/healthz", headers={"X-Long": "a" * gate.HEADER_LIMIT}).status_code == 431
    assert client.get("/healthz", headers={"Cookie": "a=" + "b" * 50_000}).status_code == 200
    assert client.get("/healthz", headers={"Cookie": "a=" + "b" * gate.COOKIE_LIMIT}).status_code == 431


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize("path", ["/probe/form", "/probe/body", "/probe/machine", "/healthz", "/nowhere"])
def test_a_body_has_a_limit_and_is_not_read_beyond(site: Site, path: str) -> None:
    answer = site.client.post(path, data=b"a" * 10_000_000, headers=PROGRAM)
    assert (answer.status_code, answer.get_json()["code"]) == (413, "content_too_large")


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/probe/form", "application/x-www-form-urlencoded"), ("/probe/machine", "application/x-www-form-urlencoded")],
)
def test_a_body_without_a_length_has_the_same_limit(site: Site, path: str, content_type: str) -> None:
    class Endless:
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return b"a" * size

    stream = Endless()
    answer = site.client.post(
        path,
        environ_overrides={"wsgi.input": stream, "wsgi.input_terminated": True, "CONTENT_TYPE": content_type},
        headers=PROGRAM,
    )
    assert answer.status_code == 413
    assert stream.given <= 2 * BODY_LIMIT


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize(
    ("path", "content_type", "body", "status"),
    [
        ("/probe/form", "application/x-www-form-urlencoded", b"&".join([b"a=1"] * 100_000), 413),
        ("/probe/form", "application/x-www-form-urlencoded", b"a=%ff", 400),
        ("/probe/form", "application/x-www-form-urlencoded", b"a=%00", 400),
        ("/probe/form", "multipart/form-data; boundary=x", PART % b"\0" + b"--x--\r\n", 400),
        ("/probe/form", "multipart/form-data; boundary=x", PART % b"1" * (FIELD_LIMIT + 1) + b"--x--\r\n", 413),
        ("/probe/form", "multipart/form-data", b"junk", 200),
        ("/probe/machine", "text/plain", b"a=1", 415),
        ("/probe/machine", "", b"a=1", 415),
        ("/probe/machine", "application/x-www-form-urlencoded", b"a=1&a=1", 400),
        ("/probe/machine", "application/x-www-form-urlencoded", b"resource=1&resource=2", 200),
        ("/probe/body", "text/plain", b"{}", 415),
        ("/probe/body", "application/json", b"", 400),
        ("/probe/body", "application/json", b'{"a":1,"a":2}', 400),
        ("/probe/body", "application/json", b"[NaN]", 400),
        ("/probe/body", "application/json", b"[" * 100_000, 400),
        ("/probe/body", "application/json", b"\xff", 400),
        ("/probe/body", "application/json", b'"\\ud800"', 400),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_refused(
    site: Site, path: str, content_type: str, body: bytes, status: int
) -> None:
    answer = site.client.post(path, data=body, content_type=content_type, headers=PROGRAM)
    assert answer.status_code == status, answer.text


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "\u0663", "0x10"])
def test_a_length_that_is_no_number_is_refused(site: Site, length: str) -> None:
    assert site.client.post("/probe/form", environ_overrides={"CONTENT_LENGTH": length}).status_code == 400


@pytest.mark.rule("HTT-05")
def test_a_length_beyond_all_numbers_is_too_large(site: Site) -> None:
    overrides = {"CONTENT_LENGTH": "9" * 5_000, "HTTP_EXPECT": "100-continue"}
    assert site.client.post("/probe/form", environ_overrides=overrides).status_code == 413


JUNK = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=200)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
HEADERS = st.sampled_from(
    ["ACCEPT", "ACCEPT_LANGUAGE", "COOKIE", "HOST", "USER_AGENT", "AUTHORIZATION", "FORWARDED", "X_FORWARDED_FOR",
     "X_REQUEST_ID", "TRANSFER_ENCODING", "RANGE", "IF_NONE_MATCH", "ORIGIN"]
)  # fmt: skip
TYPES = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "\xff", ""]
)


@pytest.mark.rule("HTT-05")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=METHODS,
    rest=st.text(st.characters(max_codepoint=255), max_size=50),
    query=JUNK,
    headers=st.dictionaries(HEADERS, JUNK, max_size=4),
    content_type=TYPES | JUNK,
    body=st.binary(max_size=300),
)
def test_no_request_makes_any_route_fail(
    site: Site, method: str, rest: str, query: str, headers: dict[str, str], content_type: str, body: bytes
) -> None:
    with site.app.app_context():
        schema.upgrade()
    environ = {f"HTTP_{name}": value for name, value in headers.items()} | {"CONTENT_TYPE": content_type}
    failing = ("/probe/boom", "/probe/away", "/api/boom", "/readyz")
    routes = [rule.rule for rule in site.app.url_map.iter_rules() if rule.rule not in failing]
    for route in routes:
        path = re.sub(r"<[^>]+>", lambda _: rest, route)
        overrides = {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": method, **environ}
        answer = site.client.open("/", method="POST", data=body, environ_overrides=overrides)
        assert answer.status_code < 500, (path, answer.status_code)


# HTT-07: methods


@pytest.mark.rule("HTT-07")
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/healthz", "GET, HEAD"),
        ("TRACE", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/metrics", "GET, HEAD"),
        ("DELETE", "/nowhere-else", None),
        ("GET", "/probe/form", "POST"),
        ("HEAD", "/probe/form", "POST"),
        ("OPTIONS", "/probe/form", "POST"),
        ("TRACE", "/probe/form", "POST"),
        ("GET", "/probe/machine", "POST"),
        ("HEAD", "/probe/machine", "POST"),
        ("OPTIONS", "/probe/machine", "POST"),
        ("TRACE", "/probe/machine", "POST"),
        ("PUT", "/error/not_found", "GET, HEAD"),
    ],
)
def test_a_method_that_a_route_does_not_take_is_refused(
    site: Site, method: str, path: str, allowed: str | None
) -> None:
    answer = site.client.open(path, method=method)
    assert (answer.status_code, answer.headers.get("Allow")) == ((405, allowed) if allowed else (404, None))


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/error/not_found"])
def test_head_is_get_without_the_body(site: Site, path: str) -> None:
    get, head = site.client.get(path), site.client.head(path)
    assert (head.status_code, head.data) == (get.status_code, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


# Chunks, HTT-08 as far as it is ours


@pytest.mark.rule("HTT-08")
@pytest.mark.parametrize("encoding", ["chunked", "gzip, chunked", "identity"])
def test_a_body_in_chunks_is_refused_and_the_connection_ends(site: Site, encoding: str) -> None:
    answer = site.client.post("/probe/form", environ_overrides={"HTTP_TRANSFER_ENCODING": encoding})
    assert (answer.status_code, answer.headers["Connection"]) == (400, "close")
