"""What the project brings along: licences of everything locked, and known vulnerabilities without a network.

    python .ci/supply_chain.py licences --write docs/licences.md     (or --check)
    python .ci/supply_chain.py advisories --osv all.zip requirements.lock [more.lock ...]

``--osv`` is a dump of advisories in the OSV format (https://ossf.github.io/osv-schema/): a zip or folder of JSON files,
as osv.dev publishes one per ecosystem. Exit code 1: something was found.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = tuple(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])
MARKS = "<!-- licences -->", "<!-- /licences -->"
#: What a licence's own words are called here; the first that fits. Packages name theirs in a dozen ways.
_NAMES = (
    (r"^(BSD|Apache|MIT|PSF|ISC|MPL|Zlib|0BSD|CC0|LGPL|Unlicense|Python-2)[^\n]{0,90}$", None),
    (r"Apache", "Apache-2.0"),
    (r"Mozilla Public License 2|MPL 2", "MPL-2.0"),
    (r"LGPL|Lesser General Public", "LGPL"),
    (r"\bGPL|GNU General Public", "GPL"),
    (r"BSD", "BSD"),
    (r"MIT", "MIT"),
    (r"Python Software Foundation|PSF", "PSF-2.0"),
    (r"ISC", "ISC"),
    (r"Unlicense", "Unlicense"),
)
#: For packages that ship a licence and do not name it: what it says.
_TEXTS = (
    ("Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    ("Apache License Version 2.0", "Apache-2.0"),
    ("Redistribution and use in source and binary forms", "BSD"),
)
#: Licences whose terms reach what is linked with them; such a package must not come in unnoticed.
_NOT_ALLOWED = re.compile(r"(?<!L)GPL|SSPL|BUSL|unknown", re.IGNORECASE)


@dataclass(frozen=True)
class Locked:
    """One pinned package of a lock file."""

    name: str
    version: str
    applies: bool


def locked(path: Path) -> list[Locked]:
    """The packages of a lock file, by canonical name."""
    lines = re.findall(r"^([A-Za-z0-9].*?==[^\\\n]*?)\s*\\?$", path.read_text(encoding="utf-8"), re.MULTILINE)
    found = []
    for line in lines:
        wanted = Requirement(line)
        applies = wanted.marker is None or wanted.marker.evaluate()
        version = next(iter(wanted.specifier)).version
        found.append(Locked(canonicalize_name(wanted.name), version, applies))
    return found


# ---------------------------------------------------------------- licences


def licence(package: Distribution) -> str:
    """The licence a package states: its SPDX expression, its classifiers or its own words."""
    stated = package.metadata.get("License-Expression")
    classifiers = [
        c.split(" :: ")[-1] for c in package.metadata.get_all("Classifier", []) if c.startswith("License ::")
    ]
    for words in (stated, "; ".join(classifiers), package.metadata.get("License")):
        for pattern, name in _NAMES if words else ():
            if re.search(pattern, words):
                return name or words.strip()
    return stated or _from_text(package) or "unknown"


def _from_text(package: Distribution) -> str | None:
    """The licence whose own title or first sentence stands in the package's licence file."""
    for file in package.files or ():
        if re.fullmatch(r"(LICEN[CS]E|COPYING)(\.\w+)?", file.name, re.IGNORECASE):
            text = " ".join(file.read_text(encoding="utf-8").split())
            for opening, name in _TEXTS:
                if opening in text:
                    return name
    return None


def brought_by() -> Mapping[str, set[str]]:
    """Package -> `core` or the extras that bring it: pyproject.toml first, then the metadata of what is installed."""
    found: dict[str, set[str]] = {}
    for extra in ("core", *EXTRAS):
        waiting = list(_asked_for(extra))
        seen: set[tuple[str, frozenset[str]]] = set()
        while waiting:
            name, asked = waiting.pop()
            if (name, asked) in seen:
                continue
            seen.add((name, asked))
            found.setdefault(name, set()).add(extra)
            waiting += _needs(name, asked)
    core = {name for name, extras in found.items() if "core" in extras}
    return {name: {"core"} if name in core else extras for name, extras in found.items()}


def _asked_for(extra: str) -> Iterator[tuple[str, frozenset[str]]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] if extra == "core" else project["optional-dependencies"][extra]
    for wanted in map(Requirement, lines):
        yield canonicalize_name(wanted.name), frozenset(wanted.extras)


def _needs(name: str, asked: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    try:
        stated = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for line in stated:
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in asked | {""}):
            yield canonicalize_name(wanted.name), frozenset(wanted.extras)


def licence_rows() -> list[str]:
    """The table of docs/licences.md: every locked package, what brings it and its licence."""
    by = brought_by()
    rows = ["| package | comes with | licence |", "|---|---|---|"]
    names = {p.name: p for file in ("requirements.lock", "requirements-spark.lock") for p in locked(ROOT / file)}
    for name, package in sorted(names.items()):
        try:
            words = licence(distribution(name))
        except PackageNotFoundError:
            words = "not installed here" if package.applies else "another platform's or Python's; not looked at"
        rows.append(f"| {name} | {', '.join(sorted(by.get(name, {'another platform'})))} | {words} |")
    return rows


def refused(rows: list[str]) -> list[str]:
    """Rows with a licence that must not come in unnoticed, but for what only development uses."""
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
    return [name for name, by, words in cells if _NOT_ALLOWED.search(words) and by != "dev"]


def licences(page: Path, check: bool) -> int:
    """Write or check the table; 1 if it is not current or a licence is refused."""
    rows = licence_rows()
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    current = before + "\n".join([MARKS[0], *rows, MARKS[1]]) + rest.split(MARKS[1])[1]
    bad = refused(rows)
    for name in bad:
        print(f"{name}: its licence is unknown or reaches what is linked with it; see {page.name}", file=sys.stderr)
    if check and current != text:
        print(f"{page.name} is not current: make licences", file=sys.stderr)
        return 1
    if not check:
        page.write_text(current, encoding="utf-8")
    return int(bool(bad))


# ---------------------------------------------------------------- advisories


def advisories(source: Path) -> Iterator[dict[str, Any]]:
    """Every advisory of a dump."""
    if source.is_dir():
        for file in sorted(source.rglob("*.json")):
            yield json.loads(file.read_bytes())
        return
    with zipfile.ZipFile(source) as dump:
        for name in sorted(dump.namelist()):
            if name.endswith(".json"):
                yield json.loads(dump.read(name))


def touches(advisory: Mapping[str, Any], package: Locked) -> bool:
    """Whether a version stands in an advisory's list of versions or in one of its ranges."""
    if "withdrawn" in advisory:
        return False
    for affected in advisory.get("affected", []):
        about = affected.get("package", {})
        if about.get("ecosystem") == "PyPI" and canonicalize_name(about.get("name", "")) == package.name:
            listed = package.version in affected.get("versions", [])
            if listed or any(_within(r, package.version) for r in affected.get("ranges", [])):
                return True
    return False


def _within(stated: Mapping[str, Any], version: str) -> bool:
    """The OSV way: walk the events in order of their versions; the last one at or before the version decides."""
    if stated.get("type") != "ECOSYSTEM":
        return False
    here, inside = Version(version), False
    events = [(_version(value), kind) for event in stated["events"] for kind, value in event.items()]
    for at, kind in sorted(events, key=lambda event: event[0]):
        if kind == "introduced" and at <= here:
            inside = True
        if (kind == "fixed" and at <= here) or (kind == "last_affected" and at < here):
            inside = False
    return inside


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def audit(source: Path, files: list[Path]) -> int:
    """Print what a dump of advisories says about locked packages; 1 if it says anything."""
    packages = {(p.name, p.version): p for file in files for p in locked(file)}
    names = {p.name for p in packages.values()}
    read, hits = 0, []
    for advisory in advisories(source):
        read += 1
        about = {canonicalize_name(a.get("package", {}).get("name", "")) for a in advisory.get("affected", [])}
        if about & names:
            hits += [(p, advisory) for p in packages.values() if p.name in about and touches(advisory, p)]
    if not read:
        print(f"{source}: no advisory in it; expected a zip or folder of OSV JSON files", file=sys.stderr)
        return 1
    for package, advisory in hits:
        print(f"{package.name} {package.version}: {advisory['id']} {advisory.get('summary', '')}")
    print(f"{len(packages)} locked packages, {read} advisories read, {len(hits)} found")
    return int(bool(hits))


def main() -> int:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    page = commands.add_parser("licences")
    what = page.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path)
    what.add_argument("--check", type=Path)
    known = commands.add_parser("advisories")
    known.add_argument("--osv", type=Path, required=True)
    known.add_argument("files", type=Path, nargs="+")
    chosen = parser.parse_args()
    if chosen.command == "licences":
        return licences(chosen.write or chosen.check, check=chosen.check is not None)
    return audit(chosen.osv, chosen.files)


if __name__ == "__main__":
    sys.exit(main())
