"""Which bundle is in force, how it came there, and the way back.

``champion.json``
    Names the bundle that scores; the one file `csql score` reads.
``promotions.json``
    The history: one entry per decision, with its reason, and the change that is under way.

A change is written down as under way before anything else, then the aliases in MLflow move, then ``champion.json``,
and at last the entry joins the history. Every step can be done again; a change that was interrupted is finished by the
next training, retraining or rollback, so that files and registry never disagree for longer than that. Between two
steps `csql score` reads the old champion or the new one, both whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from csql_ml.config import Config
from csql_ml.errors import BundleError, OutputError
from csql_ml.in_place import holder_of, only_writer
from csql_ml.run_files import json_text, write_file

#: The pointer and the history, in the models folder.
CHAMPION, HISTORY = "champion.json", "promotions.json"
LOCK = ".promotions.lock"
FORMAT = 1
Action = Literal["promote", "keep", "renew", "fall_back", "rollback"]


@dataclass(frozen=True)
class Change:
    """One decision about which bundle is in force.

    Parameters
    ----------
    action
        ``promote`` a model, ``keep`` the bundle in force, ``renew`` the rules with what was learned since,
        ``fall_back`` from a model to the rules, ``rollback`` to the previous champion.
    before, after
        Names of bundles in the models folder; ``before`` is None where none was in force.
    challenger
        The bundle that was not put in force, if any.
    as_of
        The day stood on (ISO); None for a rollback without one.
    quarter
        First day of the newest quarter with complete outcomes then (ISO).
    reason, sentence
        A code, and the words.
    inputs
        Fingerprint of the data trained on and of the settings; None for a rollback.
    """

    action: Action
    before: str | None
    after: str
    challenger: str | None
    as_of: str | None
    quarter: str | None
    reason: str
    sentence: str
    inputs: str | None


@dataclass(frozen=True)
class Promotions:
    """The history, oldest first, and the change under way."""

    entries: tuple[Change, ...] = ()
    under_way: Change | None = None

    @property
    def last(self) -> Change | None:
        """The newest decision of a training; rollbacks aside."""
        return next((e for e in reversed(self.entries) if e.action != "rollback"), None)

    def came_by(self, bundle: str) -> Change | None:
        """The decision that brought a bundle into force; None where that is not recorded."""
        brought = (e for e in reversed(self.entries) if e.after == bundle and e.before != bundle)
        return next((e for e in brought if e.action != "rollback"), None)

    @property
    def rolled_back(self) -> frozenset[str]:
        """Bundles that were in force and were taken out by a rollback."""
        return frozenset(e.before for e in self.entries if e.action == "rollback" and e.before is not None)


def in_force(folder: Path) -> str | None:
    """Name of the bundle in force in a models folder; None where nothing was trained yet.

    Raises
    ------
    BundleError
        The pointer is damaged.
    """
    pointer = folder / CHAMPION
    if not pointer.is_file():
        return None
    try:
        name = json.loads(pointer.read_text(encoding="utf-8"))["bundle"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{pointer} is damaged ({error}); train again or name a bundle with --model") from error
    if not isinstance(name, str) or Path(name).name != name:
        raise BundleError(f"{pointer} names {name!r}, which is not a folder beside it; train again")
    return name


def read(folder: Path) -> Promotions:
    """The history of a models folder.

    Raises
    ------
    OutputError
        It is damaged.
    """
    path = folder / HISTORY
    if not path.is_file():
        return Promotions()
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']!r} instead of {FORMAT}")
        under_way = stored["under_way"]
        return Promotions(
            tuple(_change(entry) for entry in stored["entries"]), None if under_way is None else _change(under_way)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{path} is damaged ({error}); restore it from a backup, or move it away: training goes on without the "
            "history, rollback has nowhere to go then"
        ) from error


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the right to change what is in force; it ends with the process, however that ends.

    Raises
    ------
    OutputError
        Another training, retraining or rollback holds it, or the folder cannot be written.
    """
    with ExitStack() as held:
        try:
            held.enter_context(only_writer(folder / "promotions"))
        except OutputError:
            raise OutputError(
                f"another training or rollback is changing what is in force in {folder}: "
                f"{holder_of(folder / LOCK)}; wait for its end"
            ) from None
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error
        yield


def put_in_force(config: Config, change: Change) -> bool:
    """Carry a change out and record it.

    Returns
    -------
    bool
        False where it says nothing new: the same bundle, challenger and data as before. Nothing is written then.
    """
    folder = config.models_path
    with only_one(folder):
        _finish(config)
        known = read(folder)
        if _pointed_at(folder) != change.before:
            raise OutputError(
                f"{folder / CHAMPION} names {_pointed_at(folder)} and no longer {change.before}: it was changed in the "
                "meantime; start again"
            )
        if _nothing_new(change, known):
            return False
        _write(folder, Promotions(known.entries, change))
        _carry_out(config, change)
    return True


def finish(config: Config) -> Change | None:
    """Finish a change that was interrupted, and return it.

    A change whose start and end are both not in force any more, because somebody edited the pointer since, is dropped.
    """
    folder = config.models_path
    if read(folder).under_way is None:
        return None
    with only_one(folder):
        return _finish(config)


def _finish(config: Config) -> Change | None:
    """Finish what is under way, as its only writer."""
    folder = config.models_path
    known = read(folder)  # again: another process may have finished it meanwhile
    change = known.under_way
    if change is None:
        return None
    if _pointed_at(folder) in (change.before, change.after):
        _carry_out(config, change)
        return change
    _write(folder, Promotions(known.entries))
    return None


def _carry_out(config: Config, change: Change) -> None:
    folder = config.models_path
    if config.tracking.enabled:
        from csql_ml.model.tracking import point_aliases

        challenger = None if change.challenger is None else folder / change.challenger
        point_aliases(config, folder / change.after, challenger)
    if change.before != change.after or _pointed_at(folder) != change.after:
        _point_at(folder, change.after)
    _write(folder, Promotions((*read(folder).entries, change)))


def _pointed_at(folder: Path) -> str | None:
    """As `in_force`; a damaged pointer points nowhere."""
    try:
        return in_force(folder)
    except BundleError:
        return None


def _point_at(folder: Path, name: str) -> None:
    from csql_ml.model.bundle import load

    pointer = json_text({"bundle": name, "model_version": load(folder / name).model_version}, indent=2)
    write_file(folder / CHAMPION, lambda path: path.write_text(pointer + "\n", encoding="utf-8"))


def _nothing_new(change: Change, known: Promotions) -> bool:
    if change.before != change.after or not known.entries:
        return False
    last = known.entries[-1]
    same_rival = change.challenger in (last.challenger, None)
    return last.after == change.after and last.inputs == change.inputs and same_rival and last.action != "rollback"


def _write(folder: Path, promotions: Promotions) -> None:
    content = {
        "format": FORMAT,
        "entries": [asdict(e) for e in promotions.entries],
        "under_way": None if promotions.under_way is None else asdict(promotions.under_way),
    }
    text = json_text(content, indent=2) + "\n"
    write_file(folder / HISTORY, lambda path: path.write_text(text, encoding="utf-8"))


def _change(stored: dict[str, Any]) -> Change:
    names = {f.name for f in fields(Change)}
    if set(stored) != names:
        raise ValueError(f"an entry has {', '.join(sorted(stored))} instead of {', '.join(sorted(names))}")
    return Change(**stored)
