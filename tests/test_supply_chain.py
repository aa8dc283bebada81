"""What comes along: every locked package is hashed, listed with an allowed licence and held against advisories."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted(ROOT.glob("requirements*.lock"))


@pytest.fixture(scope="module")
def supply_chain() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supply_chain", ROOT / ".ci" / "supply_chain.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["supply_chain"] = module
    spec.loader.exec_module(module)
    return module


def advisory(
    versions: list[str] | None = None, events: list[dict[str, str]] | None = None, **more: Any
) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": events}] if events else []
    package = {"ecosystem": "PyPI", "name": "Some.Package"}
    affected = {"package": package, "versions": versions or [], "ranges": ranges}
    return {"id": "TEST-1", "summary": "it breaks", "affected": [affected], **more}


@pytest.mark.parametrize(
    ("version", "stated", "expected"),
    [
        ("1.2", advisory(versions=["1.1", "1.2"]), True),
        ("1.3", advisory(versions=["1.1", "1.2"]), False),
        ("1.2", advisory(events=[{"introduced": "0"}, {"fixed": "1.3"}]), True),
        ("1.3", advisory(events=[{"introduced": "0"}, {"fixed": "1.3"}]), False),
        ("1.10", advisory(events=[{"introduced": "1.9"}, {"last_affected": "1.10"}]), True),
        ("1.11", advisory(events=[{"introduced": "1.9"}, {"last_affected": "1.10"}]), False),
        ("3.0", advisory(events=[{"introduced": "0"}, {"fixed": "1.3"}, {"introduced": "2.5"}]), True),
        ("2.0", advisory(events=[{"introduced": "0"}, {"fixed": "1.3"}, {"introduced": "2.5"}]), False),
        ("1.2", advisory(versions=["1.2"], withdrawn="2026-01-01T00:00:00Z"), False),
    ],
)
def test_an_advisory_touches_the_versions_it_names(
    supply_chain: ModuleType, version: str, stated: dict[str, Any], expected: bool
) -> None:
    package = supply_chain.Locked("some-package", version, True)
    assert supply_chain.touches(stated, package) is expected


@pytest.mark.parametrize(("version", "code", "count"), [("1.2.0", 1, 1), ("1.3.0", 0, 0)])
def test_a_dump_of_advisories_is_held_against_lock_files(
    supply_chain: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], version: str, code: int, count: int
) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text(
        "other==4.0 \\\n    --hash=sha256:00\n"
        f"some-package=={version} ; python_version >= '3.8' \\\n    --hash=sha256:11\n"
    )
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as dump:
        dump.writestr("TEST-1.json", json.dumps(advisory(events=[{"introduced": "0"}, {"fixed": "1.3"}])))
    assert supply_chain.audit(tmp_path / "all.zip", [lock]) == code
    assert f"2 locked packages, 1 advisories read, {count} found" in capsys.readouterr().out


def test_an_empty_dump_does_not_pass_for_no_advisories(supply_chain: ModuleType, tmp_path: Path) -> None:
    assert supply_chain.audit(tmp_path, LOCKS) == 1


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_is_pinned_with_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip())
    assert len(entries) > 1
    assert [e.split("\n")[0] for e in entries if "==" not in e or "--hash=sha256:" not in e] == []


def test_every_locked_package_is_in_the_list_of_licences(supply_chain: ModuleType) -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| ([\w-]+) \|", page, re.MULTILINE)) - {"package"}
    wanted = {
        p.name for name in ("requirements.lock", "requirements-spark.lock") for p in supply_chain.locked(ROOT / name)
    }
    assert listed == wanted


def test_no_licence_is_unknown_or_reaches_what_is_linked_with_it(supply_chain: ModuleType) -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert supply_chain.refused(rows) == []
    assert supply_chain.refused([*rows[:2], "| some-package | core | GPL |"]) == ["some-package"]
    assert supply_chain.refused([*rows[:2], "| some-package | core | LGPL-3.0-only |"]) == []
