"""The vocabulary: every name that a rule records is in it, and every name says something."""

import ast
import re

from idp.audit.events import EVENTS
from tests.architecture.tree import modules, shown


def test_every_name_that_a_rule_records_is_in_the_vocabulary() -> None:
    """`trail.record` refuses others, but only when that line runs."""
    recorded = [
        (shown(path), node.args[0].value)
        for path, tree in modules("idp").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "trail.record"
        and isinstance(node.args[0], ast.Constant)
    ]
    assert recorded
    assert [(path, name) for path, name in recorded if name not in EVENTS] == []


def test_names_are_an_object_and_what_happened_and_sentences_are_sentences() -> None:
    for name, sentence in EVENTS.items():
        assert re.fullmatch(r"[a-z]+(\.[a-z]+)+", name), name
        assert re.fullmatch(r"[A-Z].*\.", sentence), name
