"""What a training leaves behind: bundles, a card, a run in MLflow, and, at one stroke, a champion in force."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csql_ml import __version__
from csql_ml.config import Config
from csql_ml.errors import BundleError
from csql_ml.model import bundle as bundles
from csql_ml.model import promotions
from csql_ml.model.bundle import Champion
from csql_ml.model.card import model_card
from csql_ml.model.training import Trained
from csql_ml.model.training_data import TrainingData
from csql_ml.run_files import fingerprint, write_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from csql_ml.model.validation import Progress

    #: ``report(trained, data, config, before, on_progress)`` writes the page on a training.
    Report = Callable[[Trained, TrainingData, Config, Champion | None, Progress | None], bytes]

#: Sections of the configuration that a training depends on besides its data.
_SETTINGS = {"model", "labels", "baseline", "scoring", "handoff"}


@dataclass(frozen=True)
class Training:
    """A training and where its results are.

    Attributes
    ----------
    bundle
        Of the champion.
    card
        Of what was trained now: the champion, or the challenger where the champion in force was kept.
    mlflow
        `csql_ml.model.tracking.TrackingResult`; None without tracking.
    now
        The day stood on.
    report
        The page for data scientists on the same; None where none was asked for.
    """

    trained: Trained
    bundle: Path
    card: Path
    mlflow: Any
    now: date
    report: Path | None = None


def champion_in_force(config: Config) -> Champion | None:
    """The champion that a training has to reckon with; None where there is none, or none that can be read.

    A change that was interrupted is finished first.
    """
    promotions.finish(config)
    try:
        name = promotions.in_force(config.models_path)
        return None if name is None else bundles.load(config.models_path / name)
    except BundleError:
        return None  # training is what its message advises


def refused(config: Config) -> frozenset[str]:
    """Versions that were rolled back."""
    return frozenset(name.rpartition("-")[2] for name in promotions.read(config.models_path).rolled_back)


def save_champion(
    trained: Trained,
    data: TrainingData,
    config: Config,
    now: date,
    on_progress: Progress | None = None,
    report: Report | None = None,
) -> Training:
    """Bundles, card and report under the models folder and in MLflow; then, at one stroke, the champion is in force.

    Parameters
    ----------
    report
        Writes the page on the training (`csql_ml.model_report.model_report`), which lies beside the card.
    """
    folder = config.models_path
    before = _bundle_before(config)
    bundle = folder / before if trained.kept and before else saved_bundle(trained.champion, folder)
    challenger = saved_bundle(trained.challenger, folder) if trained.challenger is not None else None
    card, text = _card(trained, bundle, challenger, config, data)
    page = None
    if report is not None:
        earlier = before if trained.kept or before != bundle.name else _taken_over_from(folder, bundle.name)
        page = _report(report(trained, data, config, _readable(folder, earlier), on_progress), card)
    tracked = None
    if config.tracking.enabled:
        if on_progress is not None:
            on_progress("logging to MLflow", 0, 1)
        from csql_ml.model.tracking import log_training

        tracked = log_training(trained, data, config, bundle, text, in_force=False, attachments=[page] if page else [])
    promotions.put_in_force(config, _change(trained, data, config, before, bundle, challenger))
    return Training(trained, bundle, card, tracked, now, page)


def _bundle_before(config: Config) -> str | None:
    """Name of the bundle in force; a damaged pointer is replaced, as its message advises."""
    try:
        return promotions.in_force(config.models_path)
    except BundleError:
        return None


def _taken_over_from(folder: Path, bundle: str) -> str | None:
    """Whom a bundle in force followed: the same training again tells of the same change."""
    change = promotions.read(folder).came_by(bundle)
    return None if change is None else change.before


def _readable(folder: Path, name: str | None) -> Champion | None:
    """The champion of a bundle; None where there is none, or none that can be read."""
    try:
        return None if name is None else bundles.load(folder / name)
    except BundleError:
        return None


def _report(content: bytes, card: Path) -> Path:
    path = card.with_name(card.name.removesuffix(".md") + ".html")
    write_file(path, lambda file: file.write_bytes(content))
    return path


def saved_bundle(champion: Champion, folder: Path) -> Path:
    """Save a champion or a challenger under its own name."""
    return bundles.save(champion, folder / f"{champion.kind}-{champion.model_version}")


def _card(
    trained: Trained, bundle: Path, challenger: Path | None, config: Config, data: TrainingData
) -> tuple[Path, str]:
    """The card of what was trained now, and its text; a champion that was kept has its own from its own training."""
    told, place = trained, bundle
    if trained.kept and trained.challenger is not None and challenger is not None:
        told, place = replace(trained, champion=trained.challenger, challenger=None), challenger
    path, text = place.with_name(f"{place.name}.md"), model_card(told, config, data)
    if not (trained.kept and challenger is None and path.is_file()):
        write_file(path, lambda file: file.write_text(text, encoding="utf-8"))
    return path, text


def _change(
    trained: Trained, data: TrainingData, config: Config, before: str | None, bundle: Path, challenger: Path | None
) -> promotions.Change:
    found = trained.succession or trained.verdict
    outcomes = data.labelled(data.now)["period"]
    return promotions.Change(
        action=_action(trained, before, bundle.name),
        before=before,
        after=bundle.name,
        challenger=None if challenger is None else challenger.name,
        as_of=data.now.isoformat(),
        quarter=max(outcomes).isoformat() if len(outcomes) else None,
        reason=found.reason or "better",
        sentence=trained.paragraph(),
        inputs=inputs_of(data, config),
    )


def inputs_of(data: TrainingData, config: Config) -> str:
    """SHA-256 of all that a training rests on: rows, labels known and settings."""
    settings = config.model_dump(mode="json", include=_SETTINGS)
    return fingerprint({"data": data.fingerprint(), "settings": settings, "version": __version__})


def _action(trained: Trained, before: str | None, after: str) -> promotions.Action:
    if before == after:
        return "keep"
    if trained.promoted:
        return "promote"
    return "fall_back" if trained.succession is not None else "renew"
