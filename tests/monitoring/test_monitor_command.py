"""`csql monitor` from run folders and tables to text, JSON, page and exit code."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csql_ml.cli import main
from csql_ml.config import Config
from csql_ml.monitoring.monitor import Monitored, monitor
from csql_ml.reports.catalogue import load
from csql_ml.reports.monitor_page import render
from csql_ml.reports.monitor_texts import SENTENCE
from csql_ml.reports.texts import Texts
from tests.monitoring.small_runs import write_run
from tests.small_company import written_company

AS_OF, BEFORE = date(2026, 7, 1), date(2026, 1, 1)
COUNT = 200
NAMES = [f"a{i + 1}" for i in range(COUNT)]
RNG = np.random.default_rng(1)
SEATS, OTHER = RNG.random(COUNT), RNG.random(COUNT)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of `COUNT` accounts, half of them covered since January, a tenth of those won; and three runs."""
    folder = tmp_path_factory.mktemp("monitored")
    accounts = [{"account_id": n, "name": n, "created_at": "2025-01-01", "csm_id": "c1"} for n in NAMES]
    contracts = [
        {
            "account_id": n,
            "product": "Platform",
            "seats": 1,
            "arr": 10,
            "start_date": "2025-01-01",
            "end_date": "2027-01-01",
        }
        for n in NAMES
    ]
    events = [
        {
            "account_id": "a1",
            "user_id": "u1",
            "occurred_at": f"{AS_OF - timedelta(days=d)}T10:00:00",
            "event_name": "login",
        }
        for d in range(1, 120)
        for _ in range(5 + d // 7 % 2)
    ]
    leads = [
        {
            "csql_id": f"l{n}",
            "account_id": n,
            "type": "upsell",
            "created_at": "2026-02-01",
            "accepted_at": "2026-02-03",
            "closed_at": "2026-03-01",
            "won": "true",
            "arr": 5,
        }
        for n in NAMES[:20]
    ]
    coverage = [{"csm_id": "c1", "account_id": "", "start_date": "2026-01-01", "end_date": "2026-12-31"}]
    config = written_company(
        folder, {"accounts": accounts, "contracts": contracts, "events": events, "csqls": leads, "coverage": coverage}
    )
    assert config.data.tables
    (folder / "config.yaml").write_text(
        "data:\n  folder: .\n  tables:\n" + "".join(f"    {n}: {n}.csv\n" for n in config.data.tables), encoding="utf-8"
    )
    metrics = {"seat_saturation": SEATS, "usage_growth": OTHER}
    points = {"seat_saturation": SEATS, "usage_growth": OTHER}
    for name, day, chance, values in (
        ("before", BEFORE, 0.1, metrics),
        ("now", AS_OF, 0.1, metrics),
        ("drifted", AS_OF, 0.1, {**metrics, "seat_saturation": SEATS + 0.5}),
        ("boasting", BEFORE, 0.5, metrics),
    ):
        write_run(
            folder / name,
            day,
            values,
            points=points,
            accounts=NAMES,
            qualified=NAMES[10:30],
            propensity=np.full(COUNT, chance),
        )
    return folder


def run(capsys: pytest.CaptureFixture[str], company: Path, *arguments: Any) -> tuple[int, str, str]:
    try:
        main(["monitor", "-c", str(company / "config.yaml"), *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    else:
        code = 0
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_run_like_the_one_before_raises_no_alarm(
    company: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    code, out, err = run(
        capsys, company, "--run", company / "now", "--earlier", company / "before", "--html", page, "--json"
    )
    data = json.loads(out)
    assert (code, err, data["alarms"]) == (0, "", 0)
    assert (data["reference"]["origin"], data["now"]) == ("run", "2026-07-01")
    codes = {f["code"]: f for f in data["findings"]}
    assert codes["calibration_fine"]["values"]["came"] == 20
    assert codes["calibration_fine"]["values"]["foretold"] == pytest.approx(20)
    assert codes["precision"]["values"]["rate"] == 0.5
    assert codes["outcomes_wait"]["values"]["day"] == "2027-01-01"
    assert codes["reference_no_bundle_run"]["level"] == "watch"
    assert "Monitoring: No alarm" in page.read_text(encoding="utf-8")


def test_a_shifted_metric_is_an_alarm_by_name_and_exit_code(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, company, "--run", company / "drifted", "--reference", company / "before")
    assert code == 1
    assert re.search(r"alarm +Seat saturation has drifted", " ".join(out.split()))
    assert "Usage growth has drifted" not in out


def test_promises_that_did_not_come_true_are_an_alarm(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, company, "--run", company / "boasting", "--as-of", "2026-07-01", "--json")
    alarms = [f["code"] for f in json.loads(out)["findings"] if f["level"] == "alarm"]
    assert (code, "calibration_off" in alarms) == (1, True)
    assert "drift_fine" not in out, "there was nothing to hold the run against"


def test_before_outcomes_are_complete_the_day_is_said(company: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, company, "--run", company / "boasting", "--as-of", "2026-06-30")
    assert "Outcomes of the run of Jan 1, 2026 are complete from Jul 1, 2026" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--run", "nowhere"), "written by csql score"),
        (("--run", "{}/before", "--earlier", "{}/now"), "name earlier runs only"),
        (("--run", "{}/now", "--reference", "nowhere"), "no model bundle"),
    ],
)
def test_what_is_wrong_is_one_line(
    company: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = run(capsys, company, *(a.format(company) for a in arguments))
    assert code in (1, 2)
    assert message in err.splitlines()[-1]


def own_run(tmp_path: Path, **about: Any) -> Monitored:
    """A run on a table of one's own, which needs no tables."""
    metrics = {HOSTILE: SEATS + 0.5, "plan": ["Pro", "Basic"] * (COUNT // 2), "usage_growth": OTHER}
    before = {**metrics, HOSTILE: SEATS}
    points = {HOSTILE: SEATS, "usage_growth": OTHER}
    now = write_run(tmp_path / "now", AS_OF, metrics, points=points, own_features=True, **about)
    earlier = write_run(tmp_path / "before", BEFORE, before, points=points, own_features=True, **about)
    return monitor(Config(home=tmp_path), now, earlier=[earlier])


def test_the_page_needs_no_other_file_and_runs_nothing(tmp_path: Path) -> None:
    found = own_run(tmp_path, company=HOSTILE)
    assert [f.subject for f in found.alarms] == [HOSTILE]
    html = render(found, Texts(load("en"), "EUR")).decode()
    assert "<script" not in html
    assert re.findall(r'(?:href|src)="([^"]*)"', html) == ["data:,", "#main", "#index.html"]
    policy = unescape(html.split("Content-Security-Policy")[1].split(">")[0])
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert " style=" not in html.split("<body>")[1]
    assert html.count('<svg class="chart"') == html.count("<details>") == 2, "each chart has its table"
    assert render(found, Texts(load("en"), "EUR")).decode() == html


def test_every_text_of_the_page_goes_through_the_catalogue(tmp_path: Path) -> None:
    html = render(own_run(tmp_path, company=""), Texts(load("qps"), "EUR")).decode().split("<body>")[1]
    shown = re.sub(r"<[^>]+>", "\n", re.sub("⟦.*?⟧", "", html, flags=re.DOTALL)).replace("\n", " ")
    plain = set(re.findall(r"[A-Za-z]{3,}", unescape(shown))) - {"CSQL", "script", "alert", "plan"}
    assert plain == set()


def test_every_finding_has_a_sentence(project_root: Path) -> None:
    sources = "".join(p.read_text(encoding="utf-8") for p in (project_root / "csql_ml/monitoring").glob("*.py"))
    found = set(re.findall(r'Finding\(\s*f?"([a-z_]+)"', sources))
    found |= set(re.findall(r'"((?:drift|reference|calibration|events|accounts|reasons)_[a-z_]+)"', sources)) & set(
        SENTENCE
    )
    built = {"drift_score", "drift_metric", "drift_words", "reference_old_bundle_run", "reference_no_bundle_run"}
    assert found | built | {"reference_old_bundle", "reference_no_bundle"} >= set(SENTENCE)
    assert found <= set(SENTENCE)
