"""The line at the top of every form, and that the App's server has the page to which it links."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import httpx
import pytest

from hs2s_fiftyone import help as pages
from hs2s_fiftyone.install import install
from hs2s_fiftyone.operators import OPERATORS
from hs2s_fiftyone.operators.base import BaseOperator

DOCS = Path(__file__).resolve().parents[2] / "docs"
FORMS = [operator for operator in OPERATORS if issubclass(operator, BaseOperator)]


@pytest.fixture
def installed() -> Iterator[Path]:
    """The plugin where the App's server looks for plugins."""
    pages._served.cache_clear()
    yield install()
    pages._served.cache_clear()


@pytest.mark.parametrize("operator", FORMS, ids=lambda operator: operator.key)
def test_every_form_has_a_line_and_a_page(
    operator: type[BaseOperator], dataset: fo.Dataset
) -> None:
    assert (DOCS / operator.page).is_file()
    request = {"dataset_name": dataset.name, "params": {}}
    form = operator().resolve_input(foo.executor.ExecutionContext(request))
    first = next(iter(form.type.properties.values()))
    assert pages.help_line(operator.about, operator.page) in str(first.to_json())


def test_the_server_has_the_page(installed: Path) -> None:
    from fiftyone.server.app import app

    link = re.search(r"\[Help\]\((.*?)\)", pages.help_line("Draw", "draw.md"))
    assert link is not None

    async def get(path: str) -> httpx.Response:
        server = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=server, base_url="http://app") as client:
            return await client.get(path)

    answer = asyncio.run(get(link[1]))
    assert answer.status_code == 200
    assert "<h1" in answer.text


def test_pages_for_browsers() -> None:
    page = pages.as_html(
        "# A\n\n![b](../c.png) [d](e.md#f) [g](../h/i.py)\n\n| j | k |\n|---|---|\n"
    )
    assert '<h1 id="a">A</h1>' in page
    assert "(picture: b)" in page
    assert '<a href="e.html#f">d</a>' in page
    assert "g (<code>h/i.py</code>)" in page
    assert "<th>j</th>" in page


def test_every_page_reads_well() -> None:
    """Nothing of Markdown is left where its dialects differ."""
    for path in DOCS.glob("*.md"):
        assert "&lt;/" not in pages.as_html(path.read_text()), (
            f"{path.name}: a tag is shown as text"
        )
        body = re.sub("<(code|pre).*?</\\1>", "", pages.as_html(path.read_text()), flags=re.DOTALL)
        left = re.findall(r"\]\([^)]*\)|\*\*|^#+ |^```|^\|", body, re.MULTILINE)
        assert not left, path.name
