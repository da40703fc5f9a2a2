"""A dropdown that is drawn anew, and closes, while an option of it is chosen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from .browser import pick

# Until it has been opened three times, the list closes when the pointer comes to an option.
RESTLESS = """
<input role="combobox"><ul></ul>
<script>
  const box = document.querySelector("input"), list = document.querySelector("ul");
  let opened = 0;
  box.onclick = () => {
    opened += 1;
    list.innerHTML = '<li role="option">circle</li><li role="option">square</li>';
    for (const option of list.children) {
      option.onclick = () => { box.value = option.textContent; list.innerHTML = ""; };
      if (opened < 3) option.onpointerenter = () => { list.innerHTML = ""; };
    }
  };
</script>
"""


def test_an_option_is_chosen_once_it_stays(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.app.browser.BRIEF", 0.5)
    page = browser.new_page()
    page.set_content(RESTLESS)
    box = page.get_by_role("combobox")
    pick(page, box, "square", lambda: box.input_value() == "square")
    assert box.input_value() == "square"
    assert page.evaluate("opened") == 3
    page.close()
