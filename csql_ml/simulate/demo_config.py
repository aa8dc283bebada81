"""The configuration that reads a simulated company; ``configs/demo.yaml`` is the same text."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

from csql_ml.errors import OutputError

_TEXT = Path(__file__).with_name("config.yaml")
_FOLDER = re.compile(r"^(  folder: )\S+", re.MULTILINE)
_MODELS = re.compile(r"^(models_folder: )\S+", re.MULTILINE)
_ACTIVITY = re.compile(r"^(activity_folder: )\S+", re.MULTILINE)


def config_text(folder: str, models_folder: str, activity_folder: str) -> str:
    """The configuration as YAML, for tables in ``folder``; all are relative to where it will stand."""
    text = _TEXT.read_text(encoding="utf-8")
    for place, value in ((_FOLDER, folder), (_MODELS, models_folder), (_ACTIVITY, activity_folder)):
        text = place.sub(lambda m, value=value: m[1] + _quoted(value), text)  # type: ignore[misc]
    return text


def _quoted(value: str) -> str:
    """The value as it stands in YAML; quoted where it holds more than a plain path."""
    return value if re.fullmatch(r"[\w./][\w./-]*", value) else json.dumps(value, ensure_ascii=False)


def write_config(path: Path, *, folder: str, models_folder: str, activity_folder: str = "activity") -> Path:
    """Write the configuration of the simulated company.

    Parameters
    ----------
    path
        The file; it appears whole or not at all.
    folder, models_folder, activity_folder
        Where the tables are, where models go and where the daily rollup of events is kept, relative to the file's
        folder.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(config_text(folder, models_folder, activity_folder), encoding="utf-8")
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
    plain = r"\1"
    return re.sub(r"^(models_folder: |activity_folder: |  folder: ).*?( # .*)?$", plain, text, flags=re.MULTILINE)
