"""JSON with one meaning for every reader."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.platform import strict_json
from idp.platform.strict_json import DEPTH, NotJson

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_others_write_is_read(value: strict_json.Json) -> None:
    assert strict_json.loads(json.dumps(value)) == value
    assert strict_json.loads(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nul",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"1e999",
        b"9" * 5000,
        b'"\\u0000"',
        b'{"\\u0000":1}',
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b"[1,]",
        b"{'a':1}",
        b"1 2",
        b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1),
        b'{"a":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1),
        b"[" * 500_000,
        b"[" * 400_000 + b"]" * 400_000,
    ],
)
def test_what_readers_disagree_about_is_refused(text: bytes) -> None:
    with pytest.raises(NotJson):
        strict_json.loads(text)


def test_the_deepest_nesting_is_read() -> None:
    assert strict_json.loads("[" * DEPTH + "]" * DEPTH)


@pytest.mark.rule("API-03")
@pytest.mark.parametrize("text", ['{"password":"hunter2","password":"hunter2"}', '"hunter2', '["hunter2",NaN]'])
def test_a_refusal_repeats_nothing_of_what_was_sent(text: str) -> None:
    with pytest.raises(NotJson) as refused:
        strict_json.loads(text)
    assert "hunter2" not in refused.value.message


@given(st.binary())
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    with contextlib.suppress(NotJson):
        strict_json.loads(text)
