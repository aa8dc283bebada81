"""Environments of peers that cannot live in the toolkit's own: one per file of hashed requirements."""

from __future__ import annotations

import hashlib
import subprocess
import venv
from pathlib import Path


def environment(folder: Path, requirements: Path) -> Path:
    """The interpreter of an environment; made anew where there is none with exactly these requirements."""
    stamp = hashlib.sha256(requirements.read_bytes()).hexdigest()
    python, marker = folder / "bin" / "python", folder / "requirements.sha256"
    if not marker.is_file() or marker.read_text(encoding="utf-8") != stamp:
        print(f"making the environment of {requirements.name}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        marker.write_text(stamp, encoding="utf-8")
    return python
