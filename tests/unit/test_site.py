"""The documentation as a site: it builds, shows what a code host shows, and fetches nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # where the extra `docs` is

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
COUNTED = ("h1", "h2", "h3", "ul", "ol", "li", "table", "tr", "code", "pre", "img")
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "audio": "src"}


def build(configuration, target):
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", configuration, "-d", target],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", target)
    assert done.returncode == 0, done.stderr
    return target


def shown(site, page):
    name = page.relative_to(DOCS).with_suffix("")
    return site / ("" if name.name == "README" else name) / "index.html"


class Elements(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        for tag, attributes in Elements(page.read_text(encoding="utf-8")).found:
            place = attributes.get(FETCHED.get(tag, ""), "") or ""
            is_address = tag == "link" and attributes.get("rel") in {"canonical", "next", "prev"}
            assert is_address or not re.match(r"(https?:)?//", place), (page, tag, place)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_is_what_it_is_on_a_code_host(site, page):
    from markdown_it import MarkdownIt

    def counted(html):
        tags = [tag for tag, _ in Elements(html).found]
        return {tag: tags.count(tag) for tag in COUNTED}

    html = shown(site, page).read_text(encoding="utf-8")
    article = re.search(r"(?s)<article.*?</article>", html)[0]
    expected = MarkdownIt("commonmark").enable("table").render(page.read_text(encoding="utf-8"))
    assert counted(article) == counted(expected)


def test_files_outside_of_docs_are_pages(site):
    assert (
        "Server spans" in (site / "source" / "CHANGELOG" / "index.html").read_text()
        or (site / "source" / "CHANGELOG" / "index.html").exists()
    )
    module = site / "source" / "autotrace" / "instrumentation" / "flask.py" / "index.html"
    assert "highlight" in module.read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+)"', shown(site, DOCS / "reference" / "instrumentations.md").read_text())
    assert "../../source/autotrace/instrumentation/flask.py/" in links


@pytest.mark.parametrize("link", ["there-is-none.md", "README.md#there-is-none", "../there-is-none.py"])
def test_a_broken_link_fails(tmp_path, link):
    configuration = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(configuration)
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(DOCS / "site_hook.py", docs)
    (docs / "README.md").write_text("# Home\n\n[home](README.md#home)\n")
    assert build(tmp_path / "mkdocs.yml", tmp_path / "site").returncode == 0
    (docs / "README.md").write_text(f"# Home\n\n[elsewhere]({link})\n")
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0
    assert link.rpartition("#")[2] in done.stderr


def configurations():
    for page in PAGES:
        for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", page.read_text(encoding="utf-8")):
            yield pytest.param(block, id=f"{page.stem}: {block.splitlines()[0]}")


@pytest.mark.parametrize("block", list(configurations()))
def test_configurations_define_what_they_use(block):
    import yaml

    parsed = yaml.safe_load(block)
    if isinstance(parsed, dict) and isinstance(service := parsed.get("service"), dict):
        for kind in ("receivers", "processors", "exporters"):
            used = {name for pipeline in service["pipelines"].values() for name in pipeline.get(kind, [])}
            assert used == set(parsed.get(kind) or {})
        assert set(service.get("extensions", [])) == set(parsed.get("extensions") or {})
