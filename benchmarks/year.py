"""A year of four quarters, from simulation to dashboard, with every report counted again from the tables.

    python benchmarks/year.py --out build/year

On each quarter's first day, with nothing known but what came before: train, score, write the CSM site, push the leads
into files, measure the funnel, write the stand-up's digest and the dashboard. Then the reports are held against counts
made here, from the Parquet files and the run folders, without the code that made the reports.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

#: First days of the quarters after each of which the reports are written; the year is 2025Q4 to 2026Q3.
REVIEWS = (date(2026, 1, 1), date(2026, 4, 1), date(2026, 7, 1), date(2026, 10, 1))
_ZONE = "Europe/Berlin"
_LEAD_TYPES = ("upsell", "cross_sell", "referral")


class Csql:
    """The commands as a user types them, on one configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"

    def __call__(self, command: str, *arguments: str | Path) -> dict[str, Any]:
        """What the command prints with ``--json``; anything but success ends the year."""
        given = [command, "-c", str(self.config), *map(str, arguments), "--json"]
        done = subprocess.run([sys.executable, "-m", "csql_ml", *given], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"csql {' '.join(given)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@dataclass(frozen=True)
class Review:
    """What was written after one quarter."""

    day: date
    run: Path
    since: Path | None
    site: dict[str, Any]
    pushed: dict[str, Any]
    measured: dict[str, Any]
    digest: dict[str, Any]
    page: dict[str, Any]


def simulate(out: Path, accounts: int, seed: int) -> Csql:
    """A company of eight quarters and its configuration."""
    arguments = ["simulate", "--out", str(out / "data"), "--accounts", str(accounts), "--quarters", "8"]
    subprocess.run([sys.executable, "-m", "csql_ml", *arguments, "--seed", str(seed)], check=True, capture_output=True)
    settings = yaml.safe_load((Path(__file__).parents[1] / "configs" / "demo.yaml").read_text(encoding="utf-8"))
    settings["data"] |= {"folder": "data", "pulled": "pulled"}
    settings |= {"models_folder": "models", "activity_folder": "activity"}
    settings["delivery"] = {"outbox": "outbox.sqlite", "files": {"folder": "handoff"}}
    (out / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return Csql(out)


def review(csql: Csql, day: date, earlier: list[Path]) -> Review:
    """Everything that is written on a quarter's first day; ``earlier`` are the runs before, oldest first."""
    place = csql.folder / day.isoformat()
    run, as_of = place / "run", day.isoformat()
    since = earlier[-1] if earlier else None
    scored = [part for folder in earlier for part in ("--run", folder)]
    compared = [] if since is None else ["--since", since]
    csql("train", "--as-of", as_of)
    csql("score", "--as-of", as_of, "--out", run)
    return Review(
        day,
        run,
        since,
        site=csql("report", "--run", run, "--out", place / "site"),
        pushed=csql("push", "--run", run, "--to", "files"),
        measured=csql("measure", "--as-of", as_of, *scored),
        digest=csql("digest", "--run", run, *compared, "--out", place / "digest"),
        page=csql("dashboard", "--as-of", as_of, *scored, "--out", place / "dashboard.html"),
    )


# --- counted again ----------------------------------------------------------------------------------------------------


def problems(csql: Csql, found: Review) -> Iterator[str]:
    """Where a report says something else than the tables and the run."""
    yield from _different("measure", funnel(csql.folder / "data", found.day), _told(found.measured["total"]))
    quarters = {line["name"]: _told(line) for line in found.measured["splits"]["quarter"]}
    again = by_quarter(csql.folder / "data", found.day)
    yield from _different("measure by quarter", again, {q: t for q, t in quarters.items() if t["created"]})
    if found.page["measured"] != found.measured:
        yield "dashboard: its figures are not those of csql measure"
    page = Path(found.page["out"]).read_text(encoding="utf-8")
    for figure in _told(found.measured["total"]).values():
        if f"{figure:,}" not in page and isinstance(figure, int):
            yield f"dashboard: {figure:,} does not stand on the page"
    yield from _different("digest", digest_counts(found.run, found.since), _digest_told(found.digest))
    yield from _offers(found)
    scores = pd.read_parquet(found.run / "scores.parquet")
    pages = len(list((Path(found.site["index"]).parent / "account").glob("*.html")))
    yield from _different("site", {"accounts": len(scores)}, {"accounts": pages})


def _different(what: str, counted: Any, told: Any) -> Iterator[str]:
    if counted != told:
        yield f"{what}: told {told}, counted {counted}"


def _told(line: dict[str, Any]) -> dict[str, Any]:
    reached = {stage: line["stages"][stage]["reached"] for stage in ("accepted", "opportunity", "won")}
    return {"created": line["created"], **reached, "arr": round(line["arr_won"]["value"] or 0.0, 2)}


def _leads(data: Path, day: date) -> pd.DataFrame:
    """Leads raised before the day, and what of their fate had come by then."""
    leads = pd.read_parquet(data / "csqls.parquet")
    start = pd.Timestamp(day).tz_localize(_ZONE)
    leads = leads[leads["type"].isin(_LEAD_TYPES) & (leads["created_at"] < start)].copy()
    for stage in ("accepted_at", "opportunity_at", "closed_at"):
        leads[stage] = leads[stage].notna() & (leads[stage] < start)
    leads["won_by"] = leads["closed_at"] & leads["won"].eq(True).fillna(False).astype(bool)
    local = leads["created_at"].dt.tz_convert(_ZONE)
    leads["quarter"] = local.dt.year.astype(str) + "Q" + local.dt.quarter.astype(str)
    return leads


def _counted(leads: pd.DataFrame) -> dict[str, Any]:
    won = leads["won_by"]
    opportunity = leads["opportunity_at"] | won
    return {
        "created": len(leads),
        "accepted": int((leads["accepted_at"] | opportunity).sum()),
        "opportunity": int(opportunity.sum()),
        "won": int(won.sum()),
        "arr": round(float(leads.loc[won, "arr"].fillna(0.0).sum()), 2),
    }


def funnel(data: Path, day: date) -> dict[str, Any]:
    """The funnel of all leads as known before the day, from the Parquet file alone."""
    return _counted(_leads(data, day))


def by_quarter(data: Path, day: date) -> dict[str, dict[str, Any]]:
    """The funnel of each quarter's leads."""
    return {str(quarter): _counted(rows) for quarter, rows in _leads(data, day).groupby("quarter")}


def digest_counts(run: Path, since: Path | None) -> dict[str, int]:
    """Changes of status between two runs, from their scores; all zero without an earlier run."""
    if since is None:
        return {"newly_qualified": 0, "released_from_risk": 0, "newly_held": 0}
    now, before = (pd.read_parquet(f / "scores.parquet").set_index("account_id")["status"] for f in (run, since))
    both = pd.DataFrame({"now": now, "before": before})
    was, held = both["before"].eq("held_for_risk"), both["now"].eq("held_for_risk")
    return {
        "newly_qualified": int((both["now"].eq("qualified") & ~both["before"].eq("qualified")).sum()),
        "released_from_risk": int((was & ~held & both["now"].notna()).sum()),
        "newly_held": int((held & ~was).sum()),
    }


def _digest_told(digest: dict[str, Any]) -> dict[str, int]:
    counts = digest["team"]["counts"]
    return {name: counts[name] for name in ("newly_qualified", "released_from_risk", "newly_held")}


def _offers(found: Review) -> Iterator[str]:
    """Leads to hand over: no more than capacity, none twice, and each lead of the run offered, open or waiting."""
    digest, planned = found.digest, found.pushed["planned"]["lead"]
    offered = [e["lead_key"] for e in digest["team"]["offers"]]
    if len(offered) != len(set(offered)):
        yield "digest: a lead is offered twice"
    for part in digest["csms"]:
        if part["csm"] is not None and part["open"] > digest["capacity"] and part["offers"]:
            yield f"digest: {part['csm']} has {part['open']} open leads, more than {digest['capacity']}, and gets more"
    created = {"created": planned["create"] + planned["reopen"], "waiting": planned["waiting"]}
    yield from _different(
        "digest and push", created, {"created": len(offered), "waiting": digest["team"]["counts"]["waiting"]}
    )


def main() -> None:
    """Run the year; exit code 1 where a report is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/year"), help="a folder of this program, replaced")
    parser.add_argument("--accounts", type=int, default=400)
    parser.add_argument("--seed", type=int, default=11)
    given = parser.parse_args()
    out: Path = given.out.resolve()
    if out.exists() and any(out.iterdir()) and not (out / "config.yaml").is_file():
        raise SystemExit(f"{out} holds something else; choose a new folder")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    wrong = run_year(out, given.accounts, given.seed)
    if wrong:
        raise SystemExit(f"{len(wrong)} figures are wrong")


def run_year(out: Path, accounts: int, seed: int) -> list[str]:
    """The year, one line per quarter; returns what is wrong."""
    csql = simulate(out, accounts, seed)
    runs: list[Path] = []
    wrong: list[str] = []
    for day in REVIEWS:
        found = review(csql, day, runs)
        said = list(problems(csql, found))
        wrong += said
        runs.append(found.run)
        total, counts = found.measured["total"], found.digest["team"]["counts"]
        print(
            f"{day}: {total['created']} leads, {total['stages']['won']['reached']} won; "
            f"{counts['offers']} handed over, "
            f"{counts['newly_qualified']} newly qualified; {'every count is right' if not said else 'WRONG'}",
            flush=True,
        )
        for line in said:
            print(f"  {line}", flush=True)
    print(f"look at {out / REVIEWS[-1].isoformat() / 'dashboard.html'}")
    return wrong


if __name__ == "__main__":
    main()
