"""Error pages as people meet them: readable, operable and whole, however they look at them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.flows import browsers
from tests.flows.browsers import Look, Visitor

LOOKS = {
    "wide": Look(),
    "narrow and dark": Look(width=320, scheme="dark"),
    "right to left, narrow": Look(width=320, language="ar"),
    "Japanese": Look(width=320, language="ja"),
}


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody with a browser."""
    with browsers.visitor(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("path", ["/nowhere", "/probe/boom"])
def test_everybody_can_read_and_use_an_error_page(visitor: Visitor, path: str, look: Look) -> None:
    with visitor.visit(path, look) as page:
        page.locator("main summary").click()
        assert browsers.accessibility_problems(page) == []
        assert browsers.overflow(page) == 0


def test_longer_words_still_fit(visitor: Visitor) -> None:
    with visitor.visit("/probe/boom?ui_locales=xx-long", Look(width=320)) as page:
        page.locator("main summary").click()
        assert browsers.overflow(page) == 0
        expect(page.locator("h1")).to_contain_text("⟦Something went wrong")


def test_wider_spacing_of_text_cuts_nothing_off(visitor: Visitor) -> None:
    with visitor.visit("/probe/boom", Look(width=320)) as page:
        page.evaluate(
            """() => { const sheet = new CSSStyleSheet();
            sheet.replaceSync('* {line-height: 1.5 !important; letter-spacing: .12em !important;'
                + 'word-spacing: .16em !important} p {margin-bottom: 2em !important}');
            document.adoptedStyleSheets = [sheet]; }"""
        )
        assert browsers.overflow(page) == 0


@pytest.mark.rule("HTT-01")
def test_style_sheet_and_icons_load_under_the_policy_and_a_script_does_not(visitor: Visitor) -> None:
    with visitor.visit("/nowhere", complaint="Content Security Policy") as page:
        assert page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") == "16px"
        drawn = page.evaluate("document.querySelector('.logo use').getBoundingClientRect().width")
        assert drawn > 20
        page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
        assert page.evaluate("window.ran") is None


def test_the_language_can_be_changed_without_scripts_and_stays_changed(visitor: Visitor) -> None:
    with visitor.visit("/nowhere", Look(width=320, scripts=False)) as page:
        page.locator("footer summary").click()
        page.get_by_role("link", name="Deutsch").click()
        expect(page.locator("h1")).to_have_text("Etwas ist schiefgelaufen")
        page.goto(f"{visitor.url}/elsewhere")
        expect(page.locator("html")).to_have_attribute("lang", "de")


def test_the_language_menu_opens_inside_the_window(visitor: Visitor) -> None:
    for look in (Look(width=320), Look(width=320, language="ar"), Look()):
        with visitor.visit("/nowhere", look) as page:
            page.locator("footer summary").click()
            box = page.locator("footer details > div").bounding_box()
            assert box
            assert box["x"] >= 0
            assert box["y"] >= 0
            assert box["x"] + box["width"] <= look.width
            assert box["y"] + box["height"] <= 800


def test_everything_can_be_reached_by_keyboard_and_shows_its_focus(visitor: Visitor) -> None:
    with visitor.visit("/probe/boom") as page:
        reached = []
        for _ in range(3):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.textContent.trim()"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached[:2] == ["Try again", "Go to the start page"]
    assert reached[2].startswith("Technical details")


def test_what_is_pressed_is_large_enough(visitor: Visitor) -> None:
    with visitor.visit("/probe/boom", Look(width=320)) as page:
        for target in page.locator("a:visible, summary:visible").all():
            box = target.bounding_box()
            assert box
            assert box["height"] >= 44
