"""What is written about the house is true: rules and their tests, audit events, settings."""

import ast
import re
from pathlib import Path

import pytest

from idp.audit.events import EVENTS
from idp.platform.settings import Settings
from tests.architecture import pages
from tests.architecture.tree import ROOT, modules, shown, tracked


def test_the_generated_pages_are_current() -> None:
    assert [path.name for path, text in pages.pages().items() if path.read_text("utf-8") != text] == [], "./run docs"


def test_a_test_names_only_rules_that_are_listed() -> None:
    assert set(pages.guards()) - {rule.id for rule in pages.rules()} == set(), "add it to docs/rules.toml"


def test_every_listed_rule_has_a_test() -> None:
    assert [rule.id for rule in pages.rules() if rule.id not in pages.guards()] == []


def _written() -> str:
    """A pattern of every text in the code but the vocabulary's own; `f"account.move.{outcome}"` stands for any word."""
    texts = set()
    for path, tree in modules("idp").items():
        for node in ast.walk(tree) if path.parts[-2:] != ("audit", "events.py") else ():
            match node:
                case ast.Constant(value=str(text)):
                    texts.add(re.escape(text))
                case ast.JoinedStr(values=[ast.Constant(value=str(head)), ast.FormattedValue()]):
                    texts.add(re.escape(head) + "[a-z]+")
    return "|".join(texts)


def test_every_audit_event_says_what_happened_and_is_written_by_a_rule() -> None:
    written = re.compile(_written())
    assert [event for event in EVENTS if not written.fullmatch(event)] == []
    assert [event for event, sentence in EVENTS.items() if not sentence.endswith(".")] == []


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")] == []
    page = pages.OPERATIONS.read_text("utf-8")
    assert [name for name in Settings.model_fields if f"`{name}`" not in page.lower().replace("idp_", "")] == []


@pytest.mark.parametrize("record", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_fits_on_a_screen_and_has_its_three_parts(record: Path) -> None:
    lines = record.read_text("utf-8").splitlines()
    assert lines[0].startswith(f"# {int(record.name[:4])}. ")
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]
    assert len(lines) <= 50


@pytest.mark.parametrize("page", tracked("*.md"), ids=shown)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
