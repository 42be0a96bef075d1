"""Settings: what an operator can mean is understood, what they cannot mean stops the start and says what to set."""

import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.platform import clock, key_strength, settings
from idp.platform.hosts import Proxies
from idp.platform.settings import BadSettings, Settings
from tests.architecture.tree import ROOT

KEY = "f3Qz9vXk2LmN8pRt5wYb7cHd4jGs6aEu1oWi0xTyUqA"
OTHER = "Zk4mP9sD2vB7nQ1xW6cR8tY3hJ5gL0fA-uIoEeKwMbN"
GOOD = {"IDP_ISSUER": "https://id.example.com", "IDP_DATABASE_URL": "sqlite:////data/canopy.db", "IDP_SECRET_KEY": KEY}


def problems_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(BadSettings) as refused:
        Settings.load(environ)
    return list(refused.value.problems)


def file(folder: Path, name: str, text: str, mode: int = 0o600) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_three_values_are_enough_and_the_rest_has_defaults() -> None:
    found = Settings.load(GOOD)
    assert (found.issuer, found.development, found.secure) == ("https://id.example.com", False, True)
    assert (found.registration, found.signup, found.rate_limits) == ("token", "off", "on")
    assert found.require_pkce == "always"


def test_the_environment_of_the_process_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_SIGNUP", "on")
    assert Settings.load(GOOD).signup == "off"
    assert Settings(issuer="https://id.example.com", database_url="sqlite:////d", secret_key=(KEY,)).signup == "off"


def test_every_problem_is_told_at_once_and_says_what_to_set() -> None:
    problems = problems_of({"IDP_ISSUER": "ftp://x", "IDP_LIFETIME_CODE": "601", "IDP_SIGNUP": "maybe", "IDP_FOO": "1"})
    named = {problem.partition(":")[0] for problem in problems}
    assert named == {
        "IDP_ISSUER", "IDP_LIFETIME_CODE", "IDP_SIGNUP", "IDP_FOO", "IDP_DATABASE_URL", "IDP_SECRET_KEY",
    }  # fmt: skip
    assert any("IDP_DATABASE_URL: is missing. Where the data is" in problem for problem in problems)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("IDP_LIFETME_CODE", "IDP_LIFETIME_CODE"),
        ("IDP_SECRETKEY", "IDP_SECRET_KEY"),
        ("IDP_SECRET_KEY_FIEL", "IDP_SECRET_KEY_FILE"),
        ("idp_issuer", "IDP_ISSUER"),
        ("IDP_RULES", ""),
        ("IDP_ISSUER_FILE", "IDP_ISSUER"),
    ],
)
def test_an_unknown_name_stops_the_start_and_the_nearest_is_named(written: str, meant: str) -> None:
    [problem] = problems_of(GOOD | {written: "x"})
    assert problem.startswith(f"{written}: is unknown")
    assert meant in problem


def test_an_unknown_name_in_the_file_stops_the_start(tmp_path: Path) -> None:
    path = file(tmp_path, "c.toml", 'isuer = "https://id.example.com"')
    assert problems_of(GOOD | {"IDP_CONFIG": path}) == [f"{path}: isuer is unknown; did you mean issuer?"]


def test_the_environment_wins_over_the_file_and_each_value_knows_its_source(tmp_path: Path) -> None:
    path = file(tmp_path, "c.toml", 'signup = "on"\ndrain_seconds = 9\nissuer = "https://other.example.com"')
    found = Settings.load(GOOD | {"IDP_CONFIG": path})
    assert (found.issuer, found.signup, found.drain_seconds) == ("https://id.example.com", "on", 9)
    sources = {shown.name: shown.source for shown in found.shown()}
    assert sources["IDP_SIGNUP"] == path
    assert (sources["IDP_ISSUER"], sources["IDP_MAIL"]) == ("environment", "default")


@pytest.mark.parametrize("text", ["rules = development", "\x00", 'issuer = "x"\nissuer = "y"'])
def test_a_file_that_is_no_toml_stops_the_start(tmp_path: Path, text: str) -> None:
    [problem] = problems_of(GOOD | {"IDP_CONFIG": file(tmp_path, "c.toml", text)})
    assert problem.startswith("IDP_CONFIG: ")


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    [problem] = problems_of(GOOD | {"IDP_CONFIG": str(tmp_path / "none.toml")})
    assert problem.startswith("IDP_CONFIG: cannot read")


# HTT-04: the issuer


@pytest.mark.rule("HTT-04")
@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "id.example.com",
        "http://id.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "https://id.example.com/",
        "https://id.example.com/path",
        "https://id.example.com?x=1",
        "https://id.example.com#x",
        "https://ID.example.com",
        "https://id.example.com:443",
        "http://localhost:80",
        "https://user@id.example.com",
        "https://id.example.com\n",
        "https://id_example com",
        "https://münchen.example",
        "https://",
        "javascript://localhost",
    ],
)
def test_an_issuer_that_cannot_be_one_stops_the_start(issuer: str) -> None:
    [problem] = problems_of(GOOD | {"IDP_ISSUER": issuer})
    assert problem.startswith("IDP_ISSUER: ")


@pytest.mark.parametrize(
    "issuer",
    ["https://id.example.com", "https://id.example.com:8443", "http://localhost:8000", "http://127.0.0.1:8000",
     "http://[::1]:8000", "https://xn--mnchen-3ya.example"],
)  # fmt: skip
def test_an_origin_is_an_issuer(issuer: str) -> None:
    assert Settings.load(GOOD | {"IDP_ISSUER": issuer}).issuer == issuer


# KEY-03: secrets


@pytest.mark.rule("KEY-03")
@pytest.mark.parametrize(
    "key",
    [
        "",
        "   ",
        "secret",
        KEY[:31],
        "a" * 64,
        "ab" * 32,
        "changeme" * 5,
        "kX9mQ2zR" * 5,
        "change-me-to-something-long-and-random-0Xq",
        "your-secret-key-goes-here-Xq83kPz0Lm47",
        "0123456789abcdef0123456789abcdef0",
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "production-secret-master-key-canopy-idp-1",
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddd",
    ],
)
@pytest.mark.parametrize("rules", ["production", "development"])
def test_a_key_that_can_be_guessed_stops_the_start(tmp_path: Path, rules: str, key: str) -> None:
    config = file(tmp_path, "c.toml", f'rules = "{rules}"\nissuer = "http://localhost:8000"')
    environ = {"IDP_DATABASE_URL": GOOD["IDP_DATABASE_URL"], "IDP_CONFIG": config, "IDP_SECRET_KEY": key}
    [problem] = problems_of(environ)
    assert problem.startswith("IDP_SECRET_KEY: ")
    assert key.strip() in ("", "secret") or key not in problem


@pytest.mark.rule("KEY-03")
def test_a_missing_key_stops_the_start_and_none_is_made_up() -> None:
    [problem] = problems_of({name: value for name, value in GOOD.items() if name != "IDP_SECRET_KEY"})
    assert problem.startswith("IDP_SECRET_KEY: is missing")


@given(st.integers(16, 64))
def test_random_keys_of_every_usual_form_are_strong(size: int) -> None:
    random = secrets.token_bytes(size)
    assert key_strength.weakness_of(random.hex()) is None
    assert key_strength.weakness_of(secrets.token_urlsafe(24 + size)) is None


@pytest.mark.rule("KEY-03")
@pytest.mark.parametrize(
    "shared",
    [
        {"IDP_METRICS_TOKEN": KEY},
        {"IDP_DATABASE_URL": f"postgresql://canopy:{KEY}@db/canopy"},
        {"IDP_REDIS_URL": f"redis://:{KEY}@cache"},
        {"IDP_MAIL": f"smtp://canopy:{KEY}@mail"},
    ],
)
def test_one_secret_for_two_purposes_stops_the_start(shared: dict[str, str]) -> None:
    [problem] = problems_of(GOOD | shared)
    assert problem.startswith(f"{next(iter(shared))}: is the same secret as IDP_SECRET_KEY")
    assert KEY not in problem


def test_a_password_and_its_escaped_spelling_are_the_same_secret() -> None:
    key = KEY[:-1] + "/"
    [problem] = problems_of(GOOD | {"IDP_SECRET_KEY": key, "IDP_MAIL": f"smtp://u:{key.replace('/', '%2F')}@mail"})
    assert "is the same secret" in problem


@pytest.mark.rule("KEY-03")
@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_a_key_file_that_everybody_can_read_stops_the_start(tmp_path: Path, mode: int) -> None:
    path = file(tmp_path, "key", KEY, mode)
    [problem] = problems_of(_without_key() | {"IDP_SECRET_KEY_FILE": path})
    assert problem == f"IDP_SECRET_KEY_FILE: {path} can be read by everybody; `chmod o-r` it"


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440])
def test_a_key_file_for_the_provider_alone_is_read(tmp_path: Path, mode: int) -> None:
    path = file(tmp_path, "key", f"{KEY}\n{OTHER}\n", mode)
    found = Settings.load(_without_key() | {"IDP_SECRET_KEY_FILE": path})
    assert [key.get_secret_value() for key in found.secret_key] == [KEY, OTHER]


def test_a_key_file_under_development_rules_may_be_readable(tmp_path: Path) -> None:
    config = file(tmp_path, "c.toml", 'rules = "development"\nissuer = "http://localhost:8000"')
    path = file(tmp_path, "key", KEY, 0o644)
    environ = {"IDP_CONFIG": config, "IDP_DATABASE_URL": "sqlite:////d", "IDP_SECRET_KEY_FILE": path}
    assert Settings.load(environ).secret_key[0].get_secret_value() == KEY


def test_a_key_file_that_is_not_there_is_told_without_a_second_problem_about_its_content(tmp_path: Path) -> None:
    problems = problems_of(_without_key() | {"IDP_SECRET_KEY_FILE": str(tmp_path / "none")})
    assert problems[0] == f"IDP_SECRET_KEY_FILE: cannot read {tmp_path}/none: No such file or directory"


def test_a_secret_in_two_places_stops_the_start(tmp_path: Path) -> None:
    [problem] = problems_of(GOOD | {"IDP_SECRET_KEY_FILE": file(tmp_path, "key", OTHER)})
    assert problem == "IDP_SECRET_KEY_FILE: IDP_SECRET_KEY is set, too; set one of them"


@pytest.mark.parametrize("separator", [" ", "\n", ",", ", ", "\r\n"])
def test_several_keys_stand_one_after_the_other(separator: str) -> None:
    found = Settings.load(GOOD | {"IDP_SECRET_KEY": KEY + separator + OTHER})
    assert [key.get_secret_value() for key in found.secret_key] == [KEY, OTHER]


def test_the_same_key_twice_stops_the_start() -> None:
    [problem] = problems_of(GOOD | {"IDP_SECRET_KEY": f"{KEY} {KEY}"})
    assert "names the same key twice" in problem


@pytest.mark.rule("KEY-03")
@pytest.mark.parametrize(
    "line", [f'secret_key = "{KEY}"', f'metrics_token = "{KEY}"', 'database_url = "postgresql://u:pw@db/canopy"']
)
def test_a_secret_in_the_file_stops_the_start(tmp_path: Path, line: str) -> None:
    path = file(tmp_path, "c.toml", line)
    [problem] = problems_of(GOOD | {"IDP_CONFIG": path})
    assert problem.startswith(f"{path}: {line.split()[0]} holds a secret")
    assert KEY not in problem


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    given = {"IDP_METRICS_TOKEN": OTHER, "IDP_DATABASE_URL": "postgresql://canopy:s3cr%40t@db:5432/canopy",
             "IDP_MAIL": "smtp://u:p@ss@mail"}  # fmt: skip
    found = Settings.load(GOOD | given)
    told = repr(found) + str(found) + repr(found.shown())
    assert not [secret for secret in (KEY, OTHER, "s3cr", "p@ss") if secret in told]
    shown = {one.name: one.value for one in found.shown()}
    assert shown["IDP_DATABASE_URL"] == "postgresql://canopy:********@db:5432/canopy"
    assert shown["IDP_SECRET_KEY"] == "********"


def test_secrets_leave_the_environment_once_they_were_read() -> None:
    environ = GOOD | {"IDP_METRICS_TOKEN": OTHER, "PATH": "/bin"}
    settings.forget_secrets(environ)
    assert environ == {"IDP_ISSUER": GOOD["IDP_ISSUER"], "PATH": "/bin"}


# Rules of production and of development


def test_development_rules_need_a_file_and_an_issuer_on_loopback(tmp_path: Path) -> None:
    config = file(tmp_path, "c.toml", 'rules = "development"')
    assert not Settings.load(GOOD | {"IDP_ISSUER": "http://localhost:8000"}).development
    assert Settings.load(GOOD | {"IDP_ISSUER": "http://localhost:8000", "IDP_CONFIG": config}).development
    [problem] = problems_of(GOOD | {"IDP_CONFIG": config})
    assert problem.startswith("IDP_ISSUER: must be on loopback under development rules")


@pytest.mark.rule("HTT-06")
@pytest.mark.parametrize("value", ["1", "true", "on"])
def test_debugging_stops_the_start_in_production(value: str) -> None:
    assert problems_of(GOOD | {"FLASK_DEBUG": value}) == ["FLASK_DEBUG: must not be set under production rules"]


@pytest.mark.parametrize("name", ["development", "testing"])
def test_the_files_that_come_along_are_understood(name: str) -> None:
    environ = {"IDP_CONFIG": str(ROOT / "config" / f"{name}.toml"), "IDP_DATABASE_URL": "sqlite:////d"}
    assert Settings.load(environ | {"IDP_SECRET_KEY": KEY}).development


def test_the_example_for_production_is_understood() -> None:
    environ = {"IDP_CONFIG": str(ROOT / "config" / "production.example.toml"), "IDP_DATABASE_URL": "sqlite:////d"}
    found = Settings.load(environ | {"IDP_SECRET_KEY": KEY})
    assert (found.development, found.trusted_proxies.hops) == (False, 1)


# Values


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("CODE", 600),
        ("PAR", 600),
        ("ACCESS", 3600),
        ("ID", 3600),
        ("REFRESH_IDLE", 14 * 86_400),
        ("REFRESH_MAX", 90 * 86_400),
        ("SESSION_IDLE", 7 * 86_400),
        ("SESSION_MAX", 30 * 86_400),
        ("DEVICE", 900),
    ],
)
def test_lifetimes_have_bounds(name: str, most: int) -> None:
    variable, longest = f"IDP_LIFETIME_{name}", {"IDP_LIFETIME_SESSION_MAX": str(30 * 86_400)}
    assert getattr(Settings.load(GOOD | longest | {variable: str(most)}).lifetimes, name.lower()) == most * clock.SECOND
    for wrong in ("0", "-1", str(most + 1), "1.5", "1h", "NaN"):
        assert problems_of(GOOD | longest | {variable: wrong})[0].startswith(f"{variable}: ")


def test_public_clients_refresh_for_a_shorter_time() -> None:
    lifetimes = Settings.load(GOOD).lifetimes
    assert (lifetimes.refresh_idle, lifetimes.refresh_max) == (14 * clock.DAY, 90 * clock.DAY)
    assert (lifetimes.public_refresh_idle, lifetimes.public_refresh_max) == (7 * clock.DAY, 30 * clock.DAY)


@pytest.mark.parametrize("kind", ["SESSION", "REFRESH"])
def test_what_is_idle_ends_no_later_than_what_is_used(kind: str) -> None:
    short = {f"IDP_LIFETIME_{kind}_MAX": "60", f"IDP_LIFETIME_{kind}_IDLE": "61"}
    assert problems_of(GOOD | short)[0].startswith(f"IDP_LIFETIME_{kind}_IDLE: must not be longer")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("IDP_DATABASE_URL", "mysql://h/d"),
        ("IDP_DATABASE_URL", "sqlite://"),
        ("IDP_DATABASE_URL", "sqlite:///:memory:"),
        ("IDP_DATABASE_URL", "canopy.db"),
        ("IDP_REDIS_URL", "http://cache"),
        ("IDP_MAIL", "mail.example.com"),
        ("IDP_MAIL", "file:"),
        ("IDP_TRUSTED_PROXIES", "10.0.0.300"),
        ("IDP_TRUSTED_PROXIES", "10.0.0.0/8; 0"),
        ("IDP_TRUSTED_PROXIES", "everybody"),
        ("IDP_OUTBOUND_ALLOW", "http://intranet"),
        ("IDP_EXTRA_CA_FILE", "/none.pem"),
        ("IDP_EXTRA_CA_FILE", __file__),
        ("IDP_REGISTRATION", "yes"),
        ("IDP_REQUIRE_PKCE", "never"),
        ("IDP_DRAIN_SECONDS", "301"),
        ("IDP_PASSWORD_LENGTH", "129"),
        ("IDP_PASSWORD_LENGTH_WITH_MFA", "16"),
        ("IDP_METRICS_TOKEN", "short"),
        ("IDP_LOG_FORMAT", "xml"),
        ("IDP_SECURITY_CONTACT", "security@example.com"),
    ],
)
def test_a_value_that_cannot_be_meant_stops_the_start(name: str, wrong: str) -> None:
    [problem] = problems_of(GOOD | {name: wrong})
    assert problem.startswith(f"{name}: ")


@pytest.mark.rule("PWD-01")
@pytest.mark.parametrize(("name", "least"), [("IDP_PASSWORD_LENGTH", 15), ("IDP_PASSWORD_LENGTH_WITH_MFA", 8)])
def test_passwords_can_be_made_longer_and_not_shorter(name: str, least: int) -> None:
    [problem] = problems_of(GOOD | {name: str(least - 1)})
    assert problem.startswith(f"{name}: input should be greater than or equal to {least}. ")
    for length in (least, least + 1):
        assert getattr(Settings.load(GOOD | {name: str(length)}), name.removeprefix("IDP_").lower()) == length


@pytest.mark.rule("PWD-01")
def test_a_second_factor_never_asks_for_a_longer_password() -> None:
    longer = GOOD | {"IDP_PASSWORD_LENGTH": "20"}
    assert Settings.load(longer | {"IDP_PASSWORD_LENGTH_WITH_MFA": "20"}).password_length_with_mfa == 20
    [problem] = problems_of(longer | {"IDP_PASSWORD_LENGTH_WITH_MFA": "21"})
    assert problem == "IDP_PASSWORD_LENGTH_WITH_MFA: must not be more than IDP_PASSWORD_LENGTH"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.5", Proxies.parse("10.0.0.5/32")),
        ("10.0.0.0/8,\n::1", Proxies.parse("10.0.0.0/8 ::1")),
        ("", Proxies()),
    ],
)
def test_proxies_are_addresses_and_networks(text: str, expected: Proxies) -> None:
    assert Settings.load(GOOD | {"IDP_TRUSTED_PROXIES": text}).trusted_proxies == expected


def test_an_empty_value_is_as_good_as_none() -> None:
    assert Settings.load(GOOD | {"IDP_MAIL": "", "IDP_METRICS_TOKEN": ""}).metrics_token is None


def _without_key() -> dict[str, str]:
    return {name: value for name, value in GOOD.items() if name != "IDP_SECRET_KEY"}
