"""Reading YAML: every fault with its line, and no file that exhausts the machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.cli.apply import document
from idp.cli.apply.document import Mapping, Scalar, Sequence
from idp.cli.apply.places import FileRefused


def faults(content: bytes | str) -> list[tuple[int, str, str]]:
    with pytest.raises(FileRefused) as refused:
        document.read("f.yaml", content.encode() if isinstance(content, str) else content)
    return [(one.line, one.field, one.expected) for one in refused.value.faults]


def test_scalars_stay_as_they_stand_and_know_their_line() -> None:
    root = document.read("f.yaml", b'a: NO\nb: "no"\nc:\n- 1\n- x: y\n')
    assert root == Mapping(
        {
            "a": (1, Scalar("NO", 1, True)),
            "b": (2, Scalar("no", 2, False)),
            "c": (3, Sequence([Scalar("1", 4, True), Mapping({"x": (5, Scalar("y", 5, True))}, 5)], 4)),
        },
        1,
    )


@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        ("a: [1\nb: 2\n", 2, "expected YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        ("a: 1\nb: 'x\n", 3, "expected YAML: while scanning a quoted scalar, found unexpected end of stream"),
        ("a: 1\nb: \x07\n", 2, "expected YAML: control characters are not allowed"),
        (b"a: 1\nb: \xff\n", 2, "expected UTF-8"),
        ("", 1, "expected a mapping that begins with `version: 1`"),
        ("# nothing\n", 1, "expected a mapping that begins with `version: 1`"),
        ("a: 1\n---\nb: 1\n", 2, "expected one document"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "expected a value without a tag"),
        ("a: 1\nb: !env PASSWORD\n", 2, "expected a value without a tag, not '!env'"),
        ("a: 1\nb: *nobody\n", 2, "expected an anchor &nobody that ends before its alias"),
        ("a: &a\n- 1\n- *a\n", 3, "expected an anchor &a that ends before its alias"),
        ("a: 1\n? [b]\n: 2\n", 2, "expected the name of a field, not a list or mapping"),
    ],
)
def test_what_is_no_yaml_or_not_ours_is_refused_with_its_line(content: bytes | str, line: int, expected: str) -> None:
    [(found, field, said)] = faults(content)
    assert (found, field) == (line, "the file")
    assert said.startswith(expected)


def test_a_key_that_stands_twice_is_refused_at_any_depth_naming_both_lines() -> None:
    assert faults("a:\n  b: 1\n  c: 2\n  b: 3\na: 4\n") == [
        (4, "b", "expected once: it stands on line 2 already"),
        (5, "a", "expected once: it stands on line 1 already"),
    ]


def test_what_an_alias_repeats_counts_as_often_as_it_is_repeated() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    [(line, _, expected)] = faults(bomb)
    assert line == 7
    assert expected.startswith("expected at most 5,000,000 values")


def test_an_alias_stands_for_what_it_repeats() -> None:
    root = document.read("f.yaml", b"a: &x {b: 1}\nc: *x\n")
    assert isinstance(root, Mapping)
    assert root.fields["a"][1] == root.fields["c"][1]


def test_depth_and_size_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults("[" * 100_000)[0][2] == "expected at most 32 lists and mappings within each other"
    monkeypatch.setattr(document, "LARGEST", 1024 * 1024)
    assert faults(b"#" * (1024 * 1024 + 1)) == [(1, "the file", "expected at most 1 MB")]


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_file_is_read_or_refused(content: str | bytes) -> None:
    try:
        document.read("f.yaml", content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    except FileRefused as refused:
        assert refused.faults  # noqa: PT017 any content may be read, or be refused
