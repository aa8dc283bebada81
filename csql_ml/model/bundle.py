"""A champion as a folder of texts that can be read, compared, signed and loaded without running any code.

bundle.json       kind, features, terms, weights, coefficients, facts of the training
reference.json    the accounts that explanations compare with
distributions.json  how values spread in the newest snapshot learned from; bundles of earlier versions lack it
trees_00.txt ...  LightGBM's own text format
CHECKSUMS.json    SHA-256 of every file, and the model version made of them
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import lightgbm as lgb

from csql_ml import in_place
from csql_ml.errors import BundleError, CsqlError, OutputError
from csql_ml.model.bundle_state import FORMAT, checksums, from_files, to_json, version_of
from csql_ml.model.champion import Champion
from csql_ml.model.reference import Contributions, ReferenceSet, reference_set

__all__ = ["Champion", "Contributions", "ReferenceSet", "load", "reference_set", "save"]

CHECKSUMS = "CHECKSUMS.json"
_FILE_NAME = re.compile(r"[a-z][a-z0-9_]*\.(json|txt)")
_AGAIN = "train again, or copy the bundle again from where it came from"


def save(champion: Champion, folder: str | Path) -> Path:
    """Write a bundle; the folder appears whole or not at all.

    Parameters
    ----------
    folder
        Where to write. An older bundle there is replaced; anything else is left alone.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        The folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    files = {**champion.files, CHECKSUMS: _checksum_file(checksums(champion.files))}
    try:
        with in_place.only_writer(folder):
            if folder.is_symlink() or (folder.exists() and not _replaceable(folder)):
                raise OutputError(f"{folder} exists and is not a model bundle; give another folder or remove it")
            fresh = in_place.fresh_folder(folder)
            try:
                _write(fresh, files)
                in_place.put_folder(fresh, folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"bundle {folder} cannot be written: {error}") from error
    return folder


def _replaceable(folder: Path) -> bool:
    return folder.is_dir() and ((folder / CHECKSUMS).is_file() or not any(folder.iterdir()))


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.chmod(0o755)
    for name, content in files.items():
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    in_place.sync_folder(folder)


def load(folder: str | Path) -> Champion:
    """Read and verify a bundle. Runs no code of the bundle; predictions equal the saved model's to the last bit.

    Raises
    ------
    BundleError
        The folder is no bundle, is of another format version, or any byte of its files differs from what was written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BundleError(f"there is no model bundle at {folder}; csql train writes one")
    content = _read(folder, CHECKSUMS)
    sums = _trusted_sums(folder, content)
    files = {name: _read(folder, name) for name in sums}
    for name, found in checksums(files).items():
        if found != sums[name]:
            raise BundleError(f"{folder / name} is damaged: its SHA-256 is not the one in {CHECKSUMS}; {_AGAIN}")
    try:
        return Champion(**from_files(files))
    except (CsqlError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"bundle {folder} does not hold a model this version can read: {error}; {_AGAIN}") from error
    except lgb.basic.LightGBMError as error:
        raise BundleError(f"bundle {folder} holds trees that LightGBM cannot read; {_AGAIN}") from error


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(number, "rb") as file:
            if path.is_symlink() or not stat.S_ISREG(os.fstat(number).st_mode):
                raise BundleError(f"{path} is not a plain file; {_AGAIN}")
            return file.read()
    except FileNotFoundError:
        raise BundleError(f"{folder} is not a whole model bundle: {name} is missing; {_AGAIN}") from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read as a plain file: {error.strerror}; {_AGAIN}") from error


def _trusted_sums(folder: Path, content: bytes) -> dict[str, str]:
    """The checksums, once the file that holds them is exactly what `save` writes."""
    damaged = BundleError(f"{folder / CHECKSUMS} is damaged; {_AGAIN}")
    try:
        stated = json.loads(content)
        version, sums = stated["format"], dict(stated["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged from None
    if version != FORMAT:
        raise BundleError(
            f"bundle {folder} is of format {version!r}, this version of csql_ml reads format {FORMAT}; train again or "
            "use the version that wrote it"
        )
    if not all(isinstance(name, str) and _FILE_NAME.fullmatch(name) for name in sums):
        raise BundleError(f"{folder / CHECKSUMS} names a file that a bundle cannot have; {_AGAIN}")
    if not all(isinstance(s, str) for s in sums.values()) or content != _checksum_file(sums):
        raise damaged
    return sums


def _checksum_file(sums: Mapping[str, str]) -> bytes:
    return to_json({"format": FORMAT, "model_version": version_of(sums), "files": dict(sums)})
