"""What the site needs beyond its pages (mkdocs.yml names this file).

The pages link to files outside `docs/`, as README.md or a module of the code, in the way that a code
host follows. On the site each of these files becomes a page below `source/`; the links are turned there.
"""
# ruff: noqa: INP001 - a script, not a package

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown.extensions import Extension
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from markdown import Markdown
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
CODE = re.compile(r"(?ms)^ *```.*?^ *```|`[^`\n]*`")
LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".sh": "sh", ".js": "js", ".toml": "toml"}
NO_SEARCH = "---\nsearch:\n  exclude: true\n---\n"


class ListsAsOnCodeHosts(Extension):
    """What is indented by two spaces belongs to the list item above it; Python-Markdown wants four."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name is Markdown's
        """Called before the other extensions, which keep what they find then."""
        md.tab_length = 2
        md.build_parser()


def on_config(config: MkDocsConfig) -> None:
    """Before anything is read."""
    config.markdown_extensions.insert(0, ListsAsOnCodeHosts())


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Add a page for each file outside `docs/` that a page links to."""
    waiting = [(Path(page.abs_src_path), page.content_string) for page in files.documentation_pages()]
    while waiting:
        path, text = waiting.pop()
        for target in _targets(path, text):
            place = _place(target)
            if not target.is_relative_to(ROOT / "docs") and files.get_file_from_path(place) is None:
                content = _page_of(target)
                files.append(File.generated(config, place, content=content))
                if target.suffix == ".md":
                    waiting.append((target, content))


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Turn links that leave `docs/` to the pages made above."""
    place = page.file.src_uri
    origin = ROOT / "docs" / place
    if place.startswith("source/"):
        origin = ROOT / place.removeprefix("source/")
        if origin.suffix != ".md" or not origin.exists():
            return markdown

    def turned(link: re.Match[str]) -> str:
        target = _target(origin, link[1])
        return posixpath.relpath(_place(target), posixpath.dirname(place)) if target.exists() else link[1]

    return _outside_of_code(markdown, lambda text: LINK.sub(turned, text))


def _outside_of_code(markdown: str, change: Any) -> str:
    pieces, end = [], 0
    for code in CODE.finditer(markdown):
        pieces += [change(markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, change(markdown[end:])])


def _targets(page: Path, text: str) -> list[Path]:
    targets = [_target(page, link) for link in LINK.findall(CODE.sub("", text))]
    return [target for target in targets if target.is_relative_to(ROOT) and target.exists()]


def _target(page: Path, link: str) -> Path:
    return Path(os.path.normpath(page.parent / link))


def _place(target: Path) -> str:
    """Where a file is on the site, as the source of a page."""
    if target.is_relative_to(ROOT / "docs"):
        return target.relative_to(ROOT / "docs").as_posix()
    name = target.relative_to(ROOT).as_posix()
    return f"source/{name}" if target.suffix == ".md" else f"source/{name}.md"


def _page_of(target: Path) -> str:
    if target.suffix == ".md":
        return target.read_text(encoding="utf-8")
    title = f"{NO_SEARCH}# {target.relative_to(ROOT).as_posix()}\n\n"
    if target.is_dir():
        names = sorted(path.name for path in target.iterdir() if path.suffix in LANGUAGES)
        return title + "".join(f"- `{name}`\n" for name in names)
    language = LANGUAGES.get(target.suffix, "dockerfile" if "Dockerfile" in target.name else "")
    return f"{title}````{language}\n{target.read_text(encoding='utf-8')}````\n"
