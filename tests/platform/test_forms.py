"""Forms: each name once, text and nothing else, and not too many."""

import contextlib
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.platform import forms
from idp.platform.forms import FIELD_LIMIT
from idp.platform.http_refusals import Malformed, TooLarge

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(st.lists(st.tuples(TEXTS, TEXTS), unique_by=lambda pair: pair[0]))
def test_what_browsers_send_is_read(pairs: list[tuple[str, str]]) -> None:
    assert forms.fields(urlencode(pairs).encode()).pairs == tuple(pairs)


def test_values_are_asked_for_by_name() -> None:
    found = forms.fields(b"a=1&resource=x&b=&resource=y&c")
    assert (found.get("a"), found.get("b"), found.get("c"), found.get("d")) == ("1", "", "", None)
    assert found.all("resource") == ("x", "y")


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize("encoded", [b"a=1&a=1", b"a=1&a=2", b"a&b&a", b"%61=1&a=2"])
def test_a_name_that_stands_twice_is_refused(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        forms.fields(encoded)


@pytest.mark.rule("HTT-05")
@pytest.mark.parametrize("encoded", [b"a=%ff", b"%ff=1", b"a=\xff", b"a=%00", b"a\x00=1", b"a=%ED%A0%80", b"a=%C0%AF"])
def test_what_is_no_text_is_refused(encoded: bytes) -> None:
    with pytest.raises(Malformed):
        forms.fields(encoded)


@pytest.mark.rule("HTT-05")
def test_too_many_fields_are_refused_before_they_are_read() -> None:
    assert len(forms.fields(urlencode([(f"n{i}", i) for i in range(FIELD_LIMIT)]).encode()).pairs) == FIELD_LIMIT
    with pytest.raises(TooLarge):
        forms.fields(b"&" * FIELD_LIMIT)


@given(st.binary())
def test_any_bytes_are_read_or_refused(encoded: bytes) -> None:
    with contextlib.suppress(Malformed):
        forms.fields(encoded)
