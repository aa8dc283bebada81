"""The CSM site: seconds and memory by the size of the team, bytes a page, and how long a filter takes in a browser.

    python benchmarks/site.py [--accounts 2000 20000 100000] [--folder build/benchmarks/site]
                              [--write docs/benchmarks.md]

The accounts are those of `csql demo`, scored at two dates, repeated under new ids until there are enough; every page
has its trend lines, its explanation and an earlier run. Measured is the whole of writing the site in a process of its
own: wall and CPU seconds, and the most memory it held. What depends on the machine is also given as a ratio: CPU
against parsing the same accounts with Python's JSON reader, and memory against the smallest team.

The filter is measured in Chromium on the largest index that one page holds: from the key press or choice until the page
is laid out again, over many searches, filters and sorts, with the page's own clock. With --write the tables replace the
part of the page between the markers.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measured_process import Limits, Measured, run
from benchmarks.page import write
from csql_ml.run_files import MANIFEST, file_sha256

MARKS = "<!-- site -->", "<!-- /site -->"
HERE = Path(__file__).resolve().parent
#: Accounts a CSM looks after in the teams made here.
PORTFOLIO = 50
EARLIER = "2026-09-01"
#: What the site is meant to keep to, for the smallest team: seconds, bytes a page, bytes of the index, milliseconds.
GOALS = {"seconds": 20.0, "page": 25_000, "index": 1_000_000, "filter": 100.0}

BUILD = """
import json, sys, time
from pathlib import Path
from csql_ml import standup
from csql_ml.config import load
from csql_ml.reports import report
folder, config = Path(sys.argv[1]), load(Path(sys.argv[2]))
run, old = folder / "run", folder / "old"
sheets = standup.digest(config, run, old, language="en")
done = report(run, folder / "site", language="en", config=config, earlier=[old], standup=sheets)
index = folder / "site" / "index.html"
told = {"pages": done.pages, "largest": done.largest_account_page, "size": done.size, "index": index.stat().st_size}
(folder / "told.json").write_text(json.dumps(told))
"""

#: Milliseconds from a change of the form until the page is laid out again, for each change.
FILTERS = """
() => {
  const form = document.querySelector("form.filters"), taken = [];
  const change = (name, value) => {
    const field = form.elements[name], begun = performance.now();
    field.value = value;
    field.dispatchEvent(new Event("input", {bubbles: true}));
    document.body.getBoundingClientRect();
    document.querySelector("table.list").getBoundingClientRect();
    taken.push(performance.now() - begun);
  };
  for (let round = 0; round < 8; round++) {
    for (const text of ["s", "so", "sol", "sol h", "", "seats active", "zzz", ""]) change("q", text);
    for (const status of ["qualified", "not_yet", "held_for_risk", ""]) change("status", status);
    for (const band of ["high", "low", ""]) change("band", band);
    change("owner", "1");
    change("owner", "");
  }
  return taken;
}
"""
SORTS = """
() => {
  const taken = [];
  for (const button of [...document.querySelectorAll("thead button"), ...document.querySelectorAll("thead button")]) {
    const begun = performance.now();
    button.click();
    document.querySelector("table.list").getBoundingClientRect();
    taken.push(performance.now() - begun);
  }
  return taken;
}
"""


def make_demo(folder: Path) -> None:
    """The demo company with runs at two dates, unless it is there."""
    if not (folder / "old" / MANIFEST).is_file():
        shutil.rmtree(folder, ignore_errors=True)
        csql("demo", "--out", str(folder))
        config = str(folder / "config.yaml")
        csql("score", "-c", config, "--as-of", EARLIER, "--out", str(folder / "old"))


def csql(*arguments: str) -> None:
    """Run the command line of the toolkit."""
    subprocess.run([sys.executable, "-m", "csql_ml", *arguments], check=True, stdout=subprocess.DEVNULL)


def grow(source: Path, target: Path, accounts: int) -> None:
    """A run of so many accounts: those of ``source`` again and again, under new ids, names and owners."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    known = [json.loads(line) for line in (source / "accounts.jsonl").read_text(encoding="utf-8").splitlines()]
    ids = [f"{one['account_id']}-{number // len(known):04d}" for number, one in _repeated(known, accounts)]
    with (target / "accounts.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for number, one in _repeated(known, accounts):
            file.write(json.dumps({**one, **_own(one, number, ids[number])}, ensure_ascii=False) + "\n")
    _grow_scores(source, target, ids, len(known))
    _grow_leads(source, target, known, ids)
    shutil.copy(source / "explanations.parquet", target / "explanations.parquet")
    manifest = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    names = ("accounts.jsonl", "scores.parquet", "explanations.parquet", "leads.jsonl")
    manifest["sha256"] = {name: file_sha256(target / name) for name in names}
    (target / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def _repeated(known: list[dict[str, Any]], accounts: int) -> Iterator[tuple[int, dict[str, Any]]]:
    for number in range(accounts):
        yield number, known[number % len(known)]


def _own(one: dict[str, Any], number: int, account_id: str) -> dict[str, Any]:
    """What tells a repeated account from the one it repeats."""
    return {
        "account_id": account_id,
        "name": f"{one.get('name')} {number}",
        "csm_id": f"CSM-{number // PORTFOLIO:05d}",
        "rank": number + 1,
        "rank_in_portfolio": number % PORTFOLIO + 1,
    }


def _grow_leads(source: Path, target: Path, known: list[dict[str, Any]], ids: list[str]) -> None:
    """The leads of every repeated account, under its new id and its new owner."""
    leads: dict[str, list[dict[str, Any]]] = {}
    for line in (source / "leads.jsonl").read_text(encoding="utf-8").splitlines():
        lead = json.loads(line)
        leads.setdefault(lead["account_id"], []).append(lead)
    with (target / "leads.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for number, one in _repeated(known, len(ids)):
            for lead in leads.get(one["account_id"], ()):
                route = {**(lead.get("route") or {}), "csm_id": _own(one, number, "")["csm_id"]}
                own = {"account_id": ids[number], "lead_key": f"{lead['lead_key']}-{number}", "route": route}
                file.write(json.dumps({**lead, **own}, ensure_ascii=False) + "\n")


def _grow_scores(source: Path, target: Path, ids: list[str], known: int) -> None:
    scores = pq.read_table(source / "scores.parquet")
    places = [number % min(known, len(scores)) for number in range(len(ids))]
    grown = scores.take(places)
    column = grown.schema.get_field_index("account_id")
    grown = grown.set_column(column, "account_id", pa.array(ids, type=scores.schema.field("account_id").type))
    pq.write_table(grown, target / "scores.parquet", compression="zstd")


def parsing(run_folder: Path) -> float:
    """CPU seconds of reading the run's accounts with Python's JSON reader: the unit of the ratio."""
    begun = time.process_time()
    with (run_folder / "accounts.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            json.loads(line)
    return time.process_time() - begun


def measure(demo: Path, folder: Path, accounts: int) -> tuple[Measured, dict[str, int], float]:
    """Write the site of a team of this size: what it took, what was written, and the unit of the ratio."""
    grow(demo / "run", folder / "run", accounts)
    grow(demo / "old", folder / "old", accounts)
    shutil.rmtree(folder / "site", ignore_errors=True)
    command = [sys.executable, "-c", BUILD, str(folder), str(demo / "config.yaml")]
    measured = run(command, Limits(), {"PYTHONPATH": str(HERE.parent)})
    if measured.stopped:
        raise SystemExit(f"the site of {accounts:,} accounts {measured.stopped}")
    told = json.loads((folder / "told.json").read_text(encoding="utf-8"))
    return measured, told, parsing(folder / "run")


def filter_times(index: Path, chromium: str) -> dict[str, list[float]]:
    """Milliseconds of searches and filters, and of sorts, on an index in Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(index.as_uri())
        rows = page.locator("table.list tbody tr").count()
        found = {"rows": [float(rows)], "filter": page.evaluate(FILTERS), "sort": page.evaluate(SORTS)}
        browser.close()
    return found


def size_table(results: list[tuple[int, Measured, dict[str, int], float]]) -> list[str]:
    """One line per team."""
    smallest = results[0][1].peak
    lines = [
        (
            "| accounts | pages | wall s | CPU s | CPU ms a page | CPU against parsing | peak MB "
            "| against the smallest | largest account page, kB | index, kB |"
        ),
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for accounts, took, told, unit in results:
        lines.append(
            f"| {accounts:,} | {told['pages']:,} | {took.seconds:.1f} | {took.cpu:.1f} "
            f"| {1000 * took.cpu / told['pages']:.1f} | {took.cpu / unit:.0f} | {took.peak:,.0f} "
            f"| {took.peak / smallest:.2f} | {told['largest'] / 1000:.1f} | {told['index'] / 1000:,.0f} |"
        )
    return lines


def browser_table(found: list[dict[str, list[float]]]) -> list[str]:
    """One line per index measured in the browser."""
    lines = [
        "| rows on the page | searches and filters | median ms | slowest ms | sorts | median ms | slowest ms |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        cells = []
        for kind in ("filter", "sort"):
            times = one[kind]
            cells += [str(len(times)), f"{median(times):.0f}", f"{max(times):.0f}"]
        lines.append(f"| {one['rows'][0]:,.0f} | {' | '.join(cells)} |")
    return lines


def verdict(results: list[tuple[int, Measured, dict[str, int], float]], found: list[dict[str, list[float]]]) -> str:
    """Which goals the smallest team keeps to, and which not."""
    accounts, took, told, _ = results[0]
    measured = {
        "seconds": took.cpu,
        "page": told["largest"],
        "index": told["index"],
        "filter": median(found[0]["filter"]),
    }
    missed = [name for name, limit in GOALS.items() if measured[name] > limit]
    goals = (
        f"under {GOALS['seconds']:.0f} s (CPU; the wall time of a machine without other work), "
        f"pages of at most {GOALS['page'] / 1000:.0f} kB, the index under {GOALS['index'] / 1e6:.0f} MB, "
        f"a filter (median) under {GOALS['filter']:.0f} ms"
    )
    kept = "all kept" if not missed else f"missed: {', '.join(missed)}"
    return f"Goals for {accounts:,} accounts: {goals}: {kept}."


def main() -> None:
    """Measure, print, and write the tables where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="+", default=[2000, 20_000, 100_000])
    parser.add_argument("--folder", type=Path, default=HERE.parent / "build" / "benchmarks" / "site")
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("this benchmark needs Chromium: apt-get install chromium")
    make_demo(asked.folder / "demo")
    results, found = [], []
    for accounts in sorted(asked.accounts):
        place = asked.folder / str(accounts)
        results.append((accounts, *measure(asked.folder / "demo", place, accounts)))
        if len(found) < 2:
            found.append(filter_times(place / "site" / "index.html", chromium))
        shutil.rmtree(place / "site")
    lines = [*size_table(results), "", *browser_table(found), "", verdict(results, found)]
    print("\n".join(lines))
    if asked.write:
        write(asked.write, MARKS, "\n".join(lines))


if __name__ == "__main__":
    main()
