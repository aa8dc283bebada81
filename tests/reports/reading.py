"""Reads a written page back: what it shows, what it links to, what its security policy allows."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from csql_ml.reports.filenames import page_name

_UNSEEN = {"style", "script"}
_SPOKEN = ("aria-label", "placeholder", "data-text", "title", "alt")


class Page(HTMLParser):
    """One page as a reader gets it.

    ``texts`` are the visible pieces of text in order (titles of drawings too), ``spoken`` the attributes that are
    read out or shown, ``links`` every address the page names, ``inline`` the content of styles and scripts.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.html = content.decode()
        self.texts: list[str] = []
        self.spoken: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.inline: dict[str, list[str]] = {"style": [], "script": []}
        self.policy = ""
        self._inside = ""
        self.feed(self.html)
        self.close()

    @classmethod
    def of(cls, path: Path) -> Page:
        return cls(path.read_bytes())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes += given.items()
        self._inside = tag if tag in _UNSEEN else ""
        self.links += [given[name] for name in ("href", "src", "action", "xlink:href") if name in given]
        self.spoken += [given[name] for name in _SPOKEN if name in given]
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.inline[self._inside].append(data)
        elif data.strip():
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        """All visible text, one piece per line."""
        return "\n".join(self.texts)

    def section(self, heading: str) -> str:
        """Visible text of the section under a heading."""
        found = re.search(rf"<h2>{re.escape(heading)}</h2>.*?</section>", self.html, re.DOTALL)
        assert found, f"no section {heading!r}"
        return Page(found[0].encode()).text


def account_page(folder: Path, one: Mapping[str, Any]) -> Page:
    """An account's page of the site in ``folder``."""
    return Page.of(folder / "account" / page_name(one["account_id"]))


def hash_source(content: str) -> str:
    """The content security policy's source expression for an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
