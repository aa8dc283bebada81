"""Every kind of page there is, in one language: site, dashboard, digest, monitoring, dry run; hostile names inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from csql_ml.config import Config
from csql_ml.handoff.push import dry_run, write_page
from csql_ml.monitoring.monitor import Monitored, monitor
from csql_ml.printing_outcomes import measured as printed
from csql_ml.reports import report
from csql_ml.reports.catalogue import PSEUDO_LANGUAGE, load
from csql_ml.reports.dashboard_page import render as dashboard
from csql_ml.reports.monitor_page import render as monitoring
from csql_ml.reports.push_page import render as push_page
from csql_ml.reports.run_folder import Run
from csql_ml.reports.standup_page import write_digest
from csql_ml.reports.texts import Texts
from csql_ml.standup import digest
from tests.handoff.small_run import config as small_config
from tests.monitoring.small_runs import write_run as write_monitored
from tests.outcomes.funnel_tables import report as funnel
from tests.outcomes.test_measure import LEADS, OPPORTUNITIES
from tests.reports.sample_run import accounts, earlier_accounts, write_run
from tests.reports.test_dashboard import CONFIG, READ
from tests.test_standup import BEFORE, a_run

SCRIPT = "<script>alert(1)</script>"
LONG = "Donaudampfschifffahrtsgesellschaftskapitaen" * 3
#: What a page may show outside of the catalogues: names of the data.
SAMPLE = accounts(40, seed=3, csms=3)
EARLIER = earlier_accounts(SAMPLE, seed=4)
COUNT = 200
AS_OF, HALF_A_YEAR_BEFORE = date(2026, 7, 1), date(2026, 1, 1)
FATES = ("qualified", "held", "not_yet", "cooldown", "in_work", "qualified")


class EveryPage:
    """Pages of one made-up company in any language; what they show is computed once.

    Parameters
    ----------
    home
        An empty folder.
    """

    def __init__(self, home: Path) -> None:
        self.home = home

    def write(self, language: str) -> Path:
        """The folder of all pages in a language, written when it is asked for the first time."""
        folder = self.home / language
        if folder.exists():
            return folder
        folder.mkdir()
        run, before = self._runs
        report(run, folder / "site", language=language, config=Config(), earlier=[before])
        texts = Texts(load(language), "EUR")
        (folder / "dashboard.html").write_bytes(dashboard(self._funnel, READ, CONFIG, language))
        (folder / "monitor.html").write_bytes(monitoring(self._monitored, texts))
        (folder / "monitor_nothing.html").write_bytes(monitoring(self._unheld, texts))
        (folder / "push.html").write_bytes(push_page(_dry_run(), _run(), texts))
        self._write_digest(folder / "digest", language)
        if language != PSEUDO_LANGUAGE:
            self._write_real_push(folder / "push_files.html", language)
        return folder

    @cached_property
    def _runs(self) -> tuple[Path, Path]:
        before = write_run(self.home / "before", EARLIER, run_id="run-1", as_of="2026-04-01", model_version="old")
        return write_run(self.home / "run", SAMPLE, labels_seen=True), before

    @cached_property
    def _funnel(self) -> Mapping[str, Any]:
        leads = LEADS.replace("| c1", "| " + LONG).replace("| c2", "| " + SCRIPT)
        return printed(funnel(config=CONFIG, csqls=leads, opportunities=OPPORTUNITIES), CONFIG).data

    @cached_property
    def _monitored(self) -> Monitored:
        """A run on a feature table with one column drifted, whose name is markup; own metrics keep their names."""
        rng = np.random.default_rng(1)
        values = {SCRIPT: rng.random(COUNT), "plan": ["Pro", "Basic"] * (COUNT // 2), "usage_growth": rng.random(COUNT)}
        points = {SCRIPT: values[SCRIPT], "usage_growth": values["usage_growth"]}
        moved = {**values, SCRIPT: values[SCRIPT] + 0.5}
        now = write_monitored(self.home / "m-now", AS_OF, moved, points=points, own_features=True)
        earlier = write_monitored(self.home / "m-before", HALF_A_YEAR_BEFORE, values, points=points, own_features=True)
        return monitor(Config(home=self.home), now, earlier=[earlier])

    @cached_property
    def _unheld(self) -> Monitored:
        """A run with nothing to hold it against."""
        values = {"usage_growth": np.linspace(0, 1, COUNT)}
        return monitor(Config(home=self.home), write_monitored(self.home / "m-alone", AS_OF, values, own_features=True))

    @cached_property
    def _stood(self) -> tuple[Path, Path]:
        before = {f"A{i}": how for i, how in enumerate(FATES)}
        turned = dict(zip(before, (*FATES[1:], FATES[0]), strict=True))
        now = {**turned, LONG: "qualified", "A<script>": "qualified"}
        return a_run(self.home / "2", now, "2026-07-20"), a_run(self.home / "1", before, BEFORE)

    def _write_digest(self, folder: Path, language: str) -> None:
        write_digest(digest(small_config(self.home), *self._stood, language=language), folder, language)

    def _write_real_push(self, path: Path, language: str) -> None:
        """A dry run; what would be sent is in the company's language, which no company's configuration calls pseudo."""
        settings, run = small_config(self.home), self._stood[0]
        company = settings.company.model_copy(update={"language": language})
        settings = settings.model_copy(update={"company": company})
        write_page(settings, run, dry_run(settings, run, "files"), path, language)


def _run() -> Run:
    return Run(Path(), "run-1", AS_OF, "model-1", "stack", "Example & Co", "EUR", labels_seen=True)


def _dry_run() -> dict[str, Any]:
    """Every action, reason, kind of value and note a dry run may have."""
    values = {
        "title": ("a", SCRIPT),
        "propensity": (0.4123, 0.7),
        "expected_arr": (None, 12345.6),
        "band": ("low", "high"),
        "lead_type": ("upsell", "referral"),
        "status": ("open", "withdrawn"),
        "answer_due": (None, "2026-07-08"),
        "proof_of_value": (LONG, f"{LONG}\n{SCRIPT}"),
        "baseline_score": (12.34, 56.7),
    }
    differences = [{"field": name, "before": before, "after": after} for name, (before, after) in values.items()]
    actions = ("create", "update", "reopen", "withdraw", "invalid", "waiting", "held_out", "drop")
    reasons: Callable[[str], str | None] = {"waiting": "capacity", "held_out": None, "drop": "cooldown"}.get
    changes = [
        {
            "kind": kind,
            "key": "k",
            "account_id": f"A{i}",
            "action": action,
            "account_name": SCRIPT if i % 2 else LONG,
            "reason": reasons(action),
            "differences": differences,
        }
        for kind in ("lead", "score")
        for i, action in enumerate(actions)
    ]
    counts = dict.fromkeys((*actions, "unchanged", "older"), 1)
    notes = {
        "{count} leads have no account executive: name some under delivery.routing": {"count": 2},
        "run {run} is as of {as_of}; a run as of {newest} was handed over before: no lead is changed": {
            "run": "run-1",
            "as_of": "2026-07-01",
            "newest": "2026-08-01",
        },
    }
    return {
        "sink": "files",
        "planned": {"lead": counts, "score": counts},
        "changes": changes,
        "findings": [],
        "note_messages": [{"message": message, "values": values} for message, values in notes.items()],
    }
