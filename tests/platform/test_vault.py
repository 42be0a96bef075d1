"""What is sealed opens in its own place only, with the key that sealed it only, and exactly as it was (KEY-01)."""

import pytest
from flask import Flask
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import LargeBinary, Text

from idp.platform import vault
from idp.platform.database import Model
from idp.platform.vault import NoMasterKey, Unopenable, Vault

OLD, NEW = b"an older master key, long and random", b"a newer master key, just as random"
PLACE = {"table": "signing_keys", "column": "private_key", "row": "key-1"}

_NOT_SECRET = {"digest", "hash", "salt", "check_value", "logo"}
"""Last words of names of binary columns whose content may be read: digests, hashes, salts, pictures; and check values,
which `master_keys` seals itself, each by the key that it belongs to."""

places = st.fixed_dictionaries({name: st.text(max_size=12) for name in ("table", "column", "row")})


@given(st.binary(max_size=200), places)
def test_what_is_sealed_opens_in_its_place(plaintext: bytes, place: dict[str, str]) -> None:
    held = Vault([NEW])
    assert held.open(held.seal(plaintext, **place), **place) == plaintext


@pytest.mark.rule("KEY-01")
def test_a_sealed_value_hides_what_it_holds_and_never_looks_the_same_twice() -> None:
    held = Vault([NEW])
    sealed = {held.seal(b"a secret of some length", **PLACE) for _ in range(50)}
    assert len(sealed) == 50
    assert not any(b"secret" in value for value in sealed)


@pytest.mark.rule("KEY-01")
@given(st.binary(max_size=40), st.data())
def test_a_changed_byte_anywhere_does_not_open(plaintext: bytes, data: st.DataObject) -> None:
    held = Vault([NEW])
    sealed = bytearray(held.seal(plaintext, **PLACE))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unopenable):
        held.open(bytes(sealed), **PLACE)


@pytest.mark.rule("KEY-01")
def test_every_single_byte_of_a_sealed_value_counts() -> None:
    held = Vault([NEW])
    sealed = held.seal(b"seed", **PLACE)
    for place in range(len(sealed)):
        with pytest.raises(Unopenable):
            held.open(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :], **PLACE)
        with pytest.raises(Unopenable):
            held.open(sealed[:place], **PLACE)
    with pytest.raises(Unopenable):
        held.open(sealed + b"\0", **PLACE)


@given(st.binary(max_size=80))
def test_anything_at_all_may_stand_in_the_database(found: bytes) -> None:
    with pytest.raises(Unopenable):
        Vault([NEW]).open(found, **PLACE)


@pytest.mark.rule("KEY-01")
@given(places, places)
def test_a_value_copied_to_another_row_column_or_table_does_not_open(
    here: dict[str, str], there: dict[str, str]
) -> None:
    assume(here != there)
    held = Vault([NEW])
    with pytest.raises(Unopenable):
        held.open(held.seal(b"seed", **here), **there)


@pytest.mark.rule("KEY-01")
@pytest.mark.parametrize("elsewhere", [{"row": "key-2"}, {"column": "public_jwk"}, {"table": "users"}])
def test_a_value_copied_to_its_neighbour_does_not_open(elsewhere: dict[str, str]) -> None:
    held = Vault([NEW])
    with pytest.raises(Unopenable):
        held.open(held.seal(b"seed", **PLACE), **PLACE | elsewhere)


@pytest.mark.rule("KEY-02")
def test_the_first_key_seals_and_every_key_opens() -> None:
    before, during, after = Vault([OLD]), Vault([NEW, OLD]), Vault([NEW])
    old, new = before.seal(b"seed", **PLACE), during.seal(b"seed", **PLACE)
    assert during.open(old, **PLACE) == during.open(new, **PLACE) == after.open(new, **PLACE) == b"seed"
    assert vault.sealed_by(new) == during.first() == after.first() != before.first()


@pytest.mark.rule("KEY-02")
def test_a_value_whose_key_is_gone_says_which_key_that_was() -> None:
    sealed = Vault([OLD]).seal(b"seed", **PLACE)
    with pytest.raises(Unopenable, match=Vault([OLD]).first()) as refused:
        Vault([NEW]).open(sealed, **PLACE)
    assert refused.value.key_id == Vault([OLD]).first()


def test_the_same_key_given_twice_is_one() -> None:
    assert Vault([NEW, OLD, NEW]).key_ids() == (Vault([NEW]).first(), Vault([OLD]).first())


def test_each_purpose_and_each_master_key_has_a_key_of_its_own() -> None:
    held = Vault([NEW, OLD])
    derived = [*held.derived_keys("audit head"), *held.derived_keys("sessions")]
    assert len(set(derived)) == 4
    assert {len(key) for key in derived} == {32}
    assert held.derived_keys("audit head") == Vault([NEW]).derived_keys("audit head") + Vault([OLD]).derived_keys(
        "audit head"
    )


def test_no_purpose_reaches_a_key_that_seals(app: Flask) -> None:
    sealed = vault.current().seal(b"seed", **PLACE)
    place = f"seal/{PLACE['table']}.{PLACE['column']}"
    stolen = vault.AESGCMSIV(vault.derive(place))
    bound_to = sealed[:9] + b'["signing_keys", "private_key", "key-1"]'
    with pytest.raises(vault.InvalidTag):
        stolen.decrypt(sealed[9:21], sealed[21:], bound_to)


def test_the_vault_of_an_application_derives_with_the_newest_and_checks_with_all() -> None:
    app = _app(NEW, OLD)
    with app.app_context():
        assert vault.derived_keys("audit head")[0] == vault.derive("audit head")
        assert vault.derived_keys("audit head")[1] == Vault([OLD]).derived_keys("audit head")[0]


def test_two_applications_in_one_process_do_not_share_their_keys() -> None:
    one, other = _app(OLD), _app(NEW)
    with one.app_context():
        sealed = vault.seal(b"seed", **PLACE)
        assert vault.open(sealed, **PLACE) == b"seed"
    with other.app_context(), pytest.raises(Unopenable):
        vault.open(sealed, **PLACE)


@pytest.mark.rule("KEY-03")
def test_without_a_key_nothing_is_sealed_opened_or_derived() -> None:
    with _app().app_context():
        with pytest.raises(NoMasterKey):
            vault.seal(b"seed", **PLACE)
        with pytest.raises(NoMasterKey):
            vault.derive("audit head")
        with pytest.raises(Unopenable):
            vault.open(Vault([OLD]).seal(b"seed", **PLACE), **PLACE)


@pytest.mark.rule("KEY-03")
def test_an_empty_key_is_none() -> None:
    with pytest.raises(NoMasterKey):
        Vault([NEW, b""])


def test_keys_do_not_show() -> None:
    assert "random" not in repr(Vault([NEW])) + str(Vault([NEW]))


@pytest.mark.rule("KEY-01")
def test_every_binary_column_is_sealed_or_known_to_hold_no_secret(app: Flask) -> None:
    sealed = {place.value for place in vault.sealed_columns()}
    doubtful = [
        str(column)
        for table in Model.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
        and column not in sealed
        and column.name.rpartition("_")[2] not in _NOT_SECRET
        and column.name not in _NOT_SECRET
    ]
    assert doubtful == [], "declare it with vault.column(), or name it for the digest, hash or salt that it is"


def test_every_sealed_column_is_bound_to_a_row_and_says_what_sealed_it(app: Flask) -> None:
    places = vault.sealed_columns()
    assert "signing_keys.private_key" in map(str, (place.value for place in places))
    assert len({place.recorded_in for place in places}) == len(places)
    for place in places:
        assert list(place.table.primary_key.columns) == [place.row]
        assert isinstance(place.row.type, Text)
        assert isinstance(place.recorded_in.type, Text)
        assert place.recorded_in.nullable == place.value.nullable


def test_what_resealing_would_not_find_is_not_sealed(app: Flask) -> None:
    with pytest.raises(LookupError, match=r"users\.username is not declared as sealed"):
        vault.seal(b"seed", table="users", column="username", row="usr_1")


def _app(*masters: bytes) -> Flask:
    app = Flask("idp")
    vault.init(app, [SecretStr(master.decode()) for master in masters])
    return app
