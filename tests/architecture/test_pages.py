"""What is written about the house is true: rules and their tests, audit events, settings."""

import ast
from pathlib import Path

from idp.audit.events import EVENTS
from tests.architecture import pages
from tests.architecture.tree import modules


def test_the_generated_pages_are_current() -> None:
    assert [path.name for path, text in pages.pages().items() if path.read_text("utf-8") != text] == [], "./run docs"


def test_a_test_names_only_rules_that_are_listed() -> None:
    assert set(pages.guards()) - {rule.id for rule in pages.rules()} == set(), "add it to docs/rules.toml"


def test_every_listed_rule_has_a_test() -> None:
    assert [rule.id for rule in pages.rules() if rule.id not in pages.guards()] == []


def test_every_audit_event_says_what_happened_and_is_written_by_a_rule() -> None:
    written = {
        node.value
        for path, tree in modules("idp").items()
        if Path("idp/audit/events.py").parts != path.parts[-3:]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert [event for event in EVENTS if event not in written] == []
    assert [event for event, sentence in EVENTS.items() if not sentence.endswith(".")] == []
