"""Plain dicts -> HTML: one file per page, style and script inside, a security policy that names their hashes."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from csql_ml.reports.site import Site, account_path
from csql_ml.reports.texts import Texts
from csql_ml.reports.used_rules import UsedRules

TEMPLATE_FOLDER = Path(__file__).parent / "templates"

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_SPACE = re.compile(r"\s+")
_EMPTY = re.compile(r"[^{}]+\{\}")
_CONSTANT = re.compile(r"(--[\w-]+):([^;{}]+)[;}]")
_PROPERTY = re.compile(r"--[a-z]\w*(?:-\w+)*")
_LOOSE = re.compile(r"\s*([{};,>])\s*")
#: What would end a string in a style sheet, or the style sheet.
_UNQUOTABLE = re.compile(r'["\\<>\n]')
_BETWEEN_TAGS = re.compile(r"(?<=>)\n\s*(?=<)")
#: End tags that HTML implies by what follows.
_IMPLIED = re.compile(
    r"</(?:thead|tbody)>|</p>(?=<(?:p|ol|ul|li|dl|div|table|section|h[23]|details|/section|/div|/main)\b)"
)
_QUOTED = re.compile(r'="([\w.%-]+)"(?=[ >])')
#: Characters no HTML page may hold.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Inline:
    """A style or script with the source expression the content security policy allows it by."""

    content: Markup
    source: str


#: Stands where a page's style will, once it is known what the page needs.
_LATER = Inline(Markup("later"), "later")


class Renderer:
    """The templates of one report.

    Parameters
    ----------
    site
        The report; its language and run stand on every page.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._environment = environment(site.texts)
        self._common = _common(site)
        self._account = self._environment.get_template("account.html.j2")
        self._list = self._environment.get_template("list.html.j2")
        self._account_rules = UsedRules(minified_css("base.css") + minified_css("account.css") + _colon(site.texts))
        list_css = minified_css("base.css") + minified_css("list.css") + _bar_widths() + _narrow_labels(site.texts)
        self._list_style = inline(compact_css(list_css))
        self._sheet = self._environment.get_template("standup_site.html.j2")
        self._sheet_style = inline(compact_css(minified_css("base.css") + minified_css("standup.css")))
        self._script = inline(minified_js("list.js"))

    def account(self, page: dict[str, Any]) -> bytes:
        """The page of one account, which lies one folder below the index."""
        values = self._common | {"page": page, "root": "../", "style": _LATER, "script": None}
        html = tight(self._account.render(values))
        return encoded(with_style(html, _compact_inline(self._account_rules.of(html))))

    def accounts(self, page: dict[str, Any]) -> bytes:
        """A page with many accounts."""
        root = "../" * page["path"].count("/")
        return self._page(self._list, page, root=root, style=self._list_style, script=self._script)

    def sheet(self, page: dict[str, Any], root: str, known: Collection[str]) -> bytes:
        """A sheet of the stand-up; ``root`` leads from its folder to the index's, ``known`` accounts have a page."""
        style = self._sheet_style
        return self._page(self._sheet, page, root=root, accounts=root, known=known, style=style, script=None)

    def _page(self, template: Template, page: dict[str, Any], **more: Any) -> bytes:
        return html_bytes(template, page=page, **self._common, **more)


def tight(html: str) -> str:
    """HTML without line ends between tags, end tags that are implied, and quotes round plain words in what was drawn.

    Only what follows the style sheet is touched (its hash stands in the security policy), and no script may follow.
    Texts cannot be met: in them quotes are escaped.
    """
    head, end, body = html.partition("</style>")
    body = _IMPLIED.sub("", _BETWEEN_TAGS.sub("", body))
    return head + end + _QUOTED.sub(lambda found: f"={found[1]}", body)


def with_style(html: str, style: Inline) -> str:
    """The page with its style and the style's hash in the security policy; no text of the data stands before them."""
    html = html.replace(f"style-src {_LATER.source};", f"style-src {style.source};", 1)
    return html.replace(f"<style>{_LATER.content}</style>", f"<style>{style.content}</style>", 1)


@lru_cache(256)
def _compact_inline(css: str) -> Inline:
    return inline(compact_css(css))


def html_bytes(template: Template, **values: Any) -> bytes:
    """A template filled in; characters that no page may hold are replaced."""
    return encoded(template.render(**values))


def encoded(html: str) -> bytes:
    """UTF-8; characters that no page may hold are replaced."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", html).encode()


def inline(content: str) -> Inline:
    """Content to be written between ``<style>`` or ``<script>`` tags, with its hash."""
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return Inline(Markup(content), f"'sha256-{digest}'")


def minified_css(name: str) -> str:
    """A style sheet without comments and spare white space."""
    text = _COMMENT.sub("", (TEMPLATE_FOLDER / name).read_text(encoding="utf-8"))
    return _LOOSE.sub(r"\1", _SPACE.sub(" ", text)).replace(": ", ":").replace(";}", "}").strip()


def compact_css(css: str) -> str:
    """Minified CSS whose custom properties take little room.

    One that nothing asks for is dropped; one that is set once, and asked for once or shorter than its name, is written
    out; the others get names of one or two letters. Rules that are empty then are left out.
    """
    declared = _CONSTANT.findall(css)
    names = [name for name, _ in declared]
    for name, value in declared:
        asked = css.count(f"var({name})")
        if f"var({name}," in css:
            continue
        if asked == 0 or (names.count(name) == 1 and (asked == 1 or len(value) < len(f"var({name})"))):
            css = css.replace(f"{name}:{value};", "").replace(f"{name}:{value}}}", "}").replace(f"var({name})", value)
    found = dict.fromkeys(_PROPERTY.findall(css))
    short = {name: f"--{_letters(i)}" for i, name in enumerate(found)}
    return _EMPTY.sub("", _PROPERTY.sub(lambda match: short[match[0]], css).replace(";}", "}"))


def _letters(number: int) -> str:
    """0, 1, 2 ... as a, b, c ... aa, ab ..."""
    return ("" if number < len(ascii_lowercase) else _letters(number // 26 - 1)) + ascii_lowercase[number % 26]


def minified_js(name: str) -> str:
    """A script without comment lines and indentation."""
    lines = (line.strip() for line in (TEMPLATE_FOLDER / name).read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _bar_widths() -> str:
    """Widths of the bars in a list, in steps of 2 %: a class is shorter than a drawing in each of 2,000 rows."""
    return "".join(f".w{i}{{--w:{2 * i}%}}" for i in range(51))


def _narrow_labels(texts: Texts) -> str:
    """Words that stand before a value where there is no room for the head of the table."""
    released = _between(texts, texts.gettext("Released when"))
    words = {"expected": texts.gettext("Expected ARR"), "release": released}
    labels = "".join(f'--{name}:"{_UNQUOTABLE.sub("", word)}";' for name, word in words.items())
    return f".list{{{labels}}}"


def _colon(texts: Texts) -> str:
    """What stands between a label and its text where both stand in one line."""
    return f'.reasons{{--colon:"{_UNQUOTABLE.sub("", _between(texts, ""))}"}}'


def _between(texts: Texts, label: str) -> str:
    """The label with its colon; the line does not end before the text."""
    begun = texts.gettext("{label}: {text}", label=label, text="")
    return begun.rstrip(" ") + "\N{NO-BREAK SPACE}"


def environment(texts: Texts) -> Environment:
    """The templates' own world: escaping everywhere, messages of one language, unknown names are errors."""
    found = Environment(
        loader=_TightLoader(TEMPLATE_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )

    known: dict[str, Markup] = {}

    def gettext(message: str, **values: Any) -> Markup:
        """Message with its values; a value is escaped unless it is markup. Without values the names stay open."""
        text = known.get(message)
        if text is None:
            text = known[message] = Markup(escape(texts.template(message)))
        return text.format(**values) if values else text

    found.globals.update(_=gettext, missing=texts.missing)
    found.filters["isolated"] = _isolated
    found.filters["account_path"] = account_path
    return found


class _TightLoader(FileSystemLoader):
    """Templates without what only their author needs: indentation, end tags HTML implies, quotes round plain words."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        source, filename, uptodate = super().get_source(environment, template)
        source = re.sub(r"\n\s+", "\n", source)
        source = re.sub(r"</(?:li|t[dhr]|d[dt])>", "", source)
        return re.sub(r'="([\w-]+)"(?=[ >])', r"=\1", source), filename, uptodate


def _isolated(text: str) -> str:
    """Text between isolating marks, for places where no ``<bdi>`` may stand."""
    return f"\N{FIRST STRONG ISOLATE}{text}\N{POP DIRECTIONAL ISOLATE}"


def _common(site: Site) -> dict[str, Any]:
    """What the head and foot of every page say."""
    run, texts = site.run, site.texts
    return {
        "language": texts.language,
        "company": run.company,
        "as_of": texts.date(run.as_of),
        "run_id": run.run_id,
        "model_version": run.model_version,
        "prior": site.prior,
        "standup": site.sheets is not None,
        "rules": run.champion_kind == "rules",
        "prior_rate": texts.percent(site.config.baseline.prior_rate),
        "capacity": texts.number(site.config.scoring.capacity_per_portfolio),
    }
