"""The pages: their sections, tables, examples and links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[2]
SPAN: Final = re.compile(r"`([^`]+)`")
_PART: Final = re.compile(r"^```(\w*)\n(.*?)^```$|^#{1,6} +([^\n]+?) *$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^]]*\]\(([^)]*)\)")


class Page:
    """A page, by its place in the project."""

    def __init__(self, place: str) -> None:
        self.path = PROJECT / place
        self.text = self.path.read_text(encoding="utf-8")
        self.examples: dict[str, list[str]] = {}
        """The Python under each heading that has any."""
        self.blocks: list[tuple[str, str]] = []
        """All code, with its language."""
        self._sections: dict[str, str] = {"": ""}
        title, begin = "", 0
        for part in _PART.finditer(self.text):
            language, code, heading = part.groups()
            if heading:
                self._sections[title] = self.text[begin : part.start()]
                title, begin = heading, part.end()
                continue
            self.blocks.append((language, code))
            if language == "python":
                self.examples.setdefault(title, []).append(code)
        self._sections[title] = self.text[begin:]

    def section(self, title: str) -> str:
        """What is below a heading, up to the next one of any level."""
        return self._sections[title]

    def rows(self, first: str, title: str | None = None) -> list[list[str]]:
        """The cells of the table whose header begins like this, in one section or anywhere."""
        text = self.text if title is None else self.section(title)
        found = re.search(f"^{re.escape(first)}", text, re.MULTILINE)
        assert found, (title, first)
        table = text[found.start() :].split("\n\n")[0]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]

    def first(self, header: str, title: str | None = None) -> list[str]:
        """The first column of such a table, without the marks of code."""
        return [row[0].strip("`") for row in self.rows(header, title)]

    def broken_links(self) -> list[str]:
        """Those within the project that lead nowhere."""
        links = [link for link in _LINK.findall(self.text) if not link.startswith(("http://", "https://"))]
        return [link for link in links if not self._leads_somewhere(link)]

    def _leads_somewhere(self, link: str) -> bool:
        path, _, fragment = link.partition("#")
        target = (self.path.parent / path).resolve() if path else self.path
        return target.is_file() and (not fragment or fragment in Page(str(target))._anchors())

    def _anchors(self) -> set[str]:
        """What a fragment can lead to, by GitHub's rules for headings that don't repeat."""
        titles = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in self._sections)
        headings = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        return {*headings, *re.findall(r'<a (?:id|name)="([^"]+)"', self.text)}


def all_pages() -> list[Page]:
    """Those written by hand, and the generated ones."""
    pages = [page for place in (".", "docs", "docs/guides") for page in (PROJECT / place).glob("*.md")]
    return [Page(str(path.relative_to(PROJECT))) for path in sorted(pages)]
