"""The stand-up's digest as a folder: one page and one Markdown file for the team and for every CSM, and the JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from csql_ml.reports.catalogue import load
from csql_ml.reports.folder import replaced_whole
from csql_ml.reports.render import compact_css, environment, html_bytes, inline, minified_css
from csql_ml.reports.standup_words import part_page, part_path
from csql_ml.reports.texts import Texts
from csql_ml.run_files import json_text

INDEX, MARKDOWN, DATA = "index.html", "digest.md", "digest.json"
#: Characters that mean something to a Markdown reader within a line.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&])")

Data = Mapping[str, Any]


def write_digest(data: Data, out: Path, language: str) -> int:
    """Write the folder, whole or not at all; the same data give the same bytes. Returns how many files.

    Parameters
    ----------
    data
        From `csql_ml.standup.digest`.
    out
        A new or empty folder, or an earlier digest, which is replaced.

    Raises
    ------
    UsageError
        There are no texts in the language.
    OutputError
        ``out`` holds something else or cannot be written.
    """
    texts = Texts(load(language), data["currency"])
    files = dict(_files(data, texts))
    with replaced_whole(out) as folder:
        (folder / "csm").mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return len(files)


def _files(data: Data, t: Texts) -> Iterator[tuple[str, bytes]]:
    template = environment(t).get_template("standup.html.j2")
    common = {
        "language": t.language,
        "company": data["company"],
        "as_of": t.date(date.fromisoformat(data["as_of"])),
        "run_id": data["run_id"],
        "style": inline(compact_css(minified_css("base.css") + minified_css("standup.css"))),
        "script": None,
    }
    yield DATA, (json_text(data, indent=2) + "\n").encode()
    team = part_page(data, data["team"], t, team=True)
    yield INDEX, html_bytes(template, page=team, root="", **common)
    yield MARKDOWN, markdown(team, common["as_of"], t).encode()
    for part in data["csms"]:
        page, path = part_page(data, part, t, team=False), part_path(part["csm"])
        yield f"{path}.html", html_bytes(template, page=page, root="../", **common)
        yield f"{path}.md", markdown(page, common["as_of"], t).encode()


def markdown(page: Data, as_of: str, t: Texts) -> str:
    """The page as Markdown (CommonMark with tables), for a chat or a mail."""
    return "\n".join(_lines(page, as_of, t)).rstrip("\n") + "\n"


def _lines(page: Data, as_of: str, t: Texts) -> Iterator[str]:
    yield f"# {t.gettext('{title}, {date}', title=_plain(page['title']), date=page['day'])}"
    yield ""
    yield _since(page, as_of, t)
    yield ""
    yield " · ".join(f"**{tile['count']}** {tile['word']}" for tile in page["tiles"] if tile["some"]) or t.gettext(
        "Nothing to talk about."
    )
    yield ""
    if page["csms"]:
        heads = [t.gettext("CSM"), t.gettext("Open"), t.gettext("Room"), *page["heads"]]
        yield from _table(heads, [[_plain(p["name"]), p["open"], p["free"], *p["counts"]] for p in page["csms"]])
    for title, rows in _sections(page, t):
        yield f"## {title}"
        yield ""
        yield from (f"- {row}" for row in rows)
        yield ""
    if page["left_out"]:
        yield page["left_out"]


def _since(page: Data, as_of: str, t: Texts) -> str:
    told = (
        t.gettext("As of {date}; there is no earlier run to compare with.", date=as_of)
        if page["since"] is None
        else t.gettext("As of {date}, compared with {since}.", date=as_of, since=page["since"])
    )
    return f"{told} {page['load']}. {page['source']}"


def _sections(page: Data, t: Texts) -> Iterator[tuple[str, list[str]]]:
    team = page["team"]
    if page["due"]:
        rows = [_told(e, f"{e['word']} ({e['due']}), {_plain(e['owner'])}", t, team=team) for e in page["due"]]
        yield t.gettext("Answers that are due"), rows
    if page["offers"]:
        yield t.gettext("To hand over"), [_offer(e, t, team=team) for e in page["offers"]]
    if page["waiting"]:
        rows = [_told(e, f"{_plain(e['kind'])}. {e['waits']}", t, team=team) for e in page["waiting"]]
        yield t.gettext("Waiting"), rows
    for kind in page["changes"]:
        rows = [
            _told(e, f"{e['before']} → {e['now']}. {_plain(e['note'])} {_plain(e['detail'])}".rstrip(), t, team=team)
            for e in kind["rows"]
        ]
        yield f"{kind['word']} ({kind['count']})", rows


def _offer(e: Data, t: Texts, *, team: bool) -> str:
    due = t.gettext("answer due {date}", date=e["due"])
    told = f"{_plain(e['kind'])}, {e['propensity']}, {e['expected']} → {_plain(e['owner'])}, {due}"
    return _told(e, f"{told}. {_plain(e['note'])}".rstrip(), t, team=team)


def _told(entry: Data, text: str, t: Texts, *, team: bool) -> str:
    """A statement about an account after its name."""
    return t.gettext("{label}: {text}", label=_who(entry, team=team), text=text)


def _who(entry: Data, *, team: bool) -> str:
    name = f"**{_plain(entry['name'])}** ({_plain(entry['id'])})"
    return f"{name}, {_plain(entry['csm'])}" if team else name


def _table(heads: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * (len(heads) - 1)
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""


def _plain(text: str) -> str:
    """A text of the data in which nothing is markup, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
