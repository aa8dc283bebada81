"""A page in a real browser, and what is asked of every page: complaints, requests, contrast, accessibility."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

UNFOLD = "document.querySelectorAll('details').forEach(one => { one.open = true })"


class Watched:
    """A browser page whose complaints and requests are written down."""

    def __init__(self, browser: Browser, site: Path, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.site = site
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, name: str) -> Page:
        self.page.goto(f"{self.site.as_uri()}/{name}")
        return self.page

    def left_the_page(self) -> list[str]:
        return [url for url in self.requests if not url.startswith((self.site.as_uri(), "data:"))]


def assert_readable_in_both_schemes(browser: Browser, site: Path, name: str, least: int) -> None:
    """Dark and light differ, and every piece of text, unfolded, stands out enough; ``least`` says how many at least."""
    colours = {}
    for scheme in ("light", "dark"):
        watched = Watched(browser, site, color_scheme=scheme)
        page = watched.open(name)
        page.evaluate(UNFOLD)
        colours[scheme] = page.evaluate(CONTRASTS)
        watched.context.close()
    assert colours["light"] != colours["dark"]
    for scheme, found in colours.items():
        assert len(found) > least
        for text, ratio in found:
            assert ratio >= 4.5, (name, scheme, text, ratio)


# Contrast (WCAG 2) of every piece of text with the first background behind it that is not transparent.
CONTRASTS = """
() => {
  const channels = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => {
    const [r, g, b] = channels(c).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor, [, , , alpha = 1] = channels(c);
      if (alpha > 0) return c;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const e of document.querySelectorAll("main *")) {
    if (e.closest("svg") || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    found.push([e.textContent.slice(0, 30), (a + 0.05) / (b + 0.05)]);
  }
  return found;
}
"""


def violations(page: Page, path: Path, axe: str) -> list[str]:
    """What axe finds on a page, with everything unfolded: rule and first place of each."""
    page.goto(path.as_uri())
    page.evaluate(UNFOLD)
    # Evaluated as the page's developer tools would: the security policy stays as strict as it is.
    page.evaluate(axe)
    rules = {"html-lang-valid": {"enabled": page.locator("html").get_attribute("lang") != "qps"}}  # for private use
    result = page.evaluate("rules => axe.run(document, {resultTypes: ['violations'], rules})", rules)
    assert len(result["passes"]) > 20
    return [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in result["violations"]]
