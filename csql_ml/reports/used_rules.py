"""The part of a style sheet that a page has use for: rules about what is not on it are left out."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_CLASS = re.compile(r"\.([a-z][\w-]*)")
_CLASSES = re.compile(r"""<[^<>]*? class=(?:"([^"]*)"|([^\s>]+))""")
#: Kinds of page whose part is kept at hand.
_KEPT = 256


class UsedRules:
    """A minified style sheet that gives each page its part.

    Parameters
    ----------
    css
        Rules without comments; classes are written in small letters, selectors have no commas within brackets.
    """

    def __init__(self, css: str) -> None:
        self._css = css
        self._named = frozenset(name for selectors, _ in _RULE.findall(css) for name in _CLASS.findall(selectors))
        self._part = lru_cache(_KEPT)(lambda used: used_rules(css, used))

    def of(self, html: str) -> str:
        """The rules for a page; pages with the same classes share them."""
        return self._part(self._named & classes(html))


def classes(html: str) -> frozenset[str]:
    """Every class of a page.

    Examples
    --------
    >>> sorted(classes('<p class="a b"><i class=c>'))
    ['a', 'b', 'c']
    """
    return frozenset(name for quoted, plain in _CLASSES.findall(html) for name in (quoted or plain).split())


def used_rules(css: str, used: Collection[str]) -> str:
    """The style sheet without selectors that need a class nobody has.

    Examples
    --------
    >>> used_rules("p,.a b,.a .b{margin:0}@media print{.b{top:0}.a{top:1px}}", {"a"})
    'p,.a b{margin:0}@media print{.a{top:1px}}'
    """

    def kept(rule: re.Match[str]) -> str:
        selectors = [one for one in rule[1].split(",") if set(_CLASS.findall(one)) <= set(used)]
        return f"{','.join(selectors)}{{{rule[2]}}}" if selectors else ""

    return _RULE.sub(kept, css)
