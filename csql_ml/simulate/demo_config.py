"""The configuration that reads a simulated company; ``configs/demo.yaml`` is the same text."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

from csql_ml.errors import OutputError

_TEXT = Path(__file__).with_name("config.yaml")
_FOLDER = re.compile(r"^(  folder: )\S+", re.MULTILINE)
_PULLED = re.compile(r"^(  pulled: )\S+", re.MULTILINE)
_MODELS = re.compile(r"^(models_folder: )\S+", re.MULTILINE)
_ACTIVITY = re.compile(r"^(activity_folder: )\S+", re.MULTILINE)


def config_text(folder: str, models_folder: str, activity_folder: str, pulled: str = "../demo/pulled") -> str:
    """The configuration as YAML, for tables in ``folder``; all are relative to where it will stand."""
    text = _TEXT.read_text(encoding="utf-8")
    places = (_FOLDER, folder), (_PULLED, pulled), (_MODELS, models_folder), (_ACTIVITY, activity_folder)
    for place, value in places:
        text = place.sub(lambda m, value=value: m[1] + _quoted(value), text)  # type: ignore[misc]
    return text


def _quoted(value: str) -> str:
    """The value as it stands in YAML; quoted where it holds more than a plain path."""
    return value if re.fullmatch(r"[\w./][\w./-]*", value) else json.dumps(value, ensure_ascii=False)


def write_config(
    path: Path, *, folder: str, models_folder: str, activity_folder: str = "activity", pulled: str = "pulled"
) -> Path:
    """Write the configuration of the simulated company.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    folder, models_folder, activity_folder, pulled
        Where the tables are, where models go, where the daily rollup of events is kept and where outcomes from a CRM
        go, relative to the file's folder.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(config_text(folder, models_folder, activity_folder, pulled), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; choose another place") from error
    return path


def is_untouched(path: Path) -> bool:
    """Whether a configuration is as `write_config` wrote it, whatever its folders."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return _without_folders(text) == _without_folders(_TEXT.read_text(encoding="utf-8"))


def _without_folders(text: str) -> str:
    places = r"^(models_folder: |activity_folder: |  folder: |  pulled: ).*?( # .*)?$"
    return re.sub(places, r"\1", text, flags=re.MULTILINE)
