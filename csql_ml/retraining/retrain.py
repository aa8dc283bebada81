"""The quarterly retrain and its undoing, step by step.

Wait for a new quarter with complete outcomes, train the challenger, judge champion, challenger and rules on that same
quarter, say what it would do to the list, put the better one in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from csql_ml import pipeline
from csql_ml.company import LEAST_HISTORY, Company, Progress, open_company
from csql_ml.config import Config
from csql_ml.errors import BundleError, FeatureError
from csql_ml.model import bundle as bundles
from csql_ml.model import promotions
from csql_ml.model.bundle import Champion
from csql_ml.model.checked_training import checked_training
from csql_ml.model.guards import guard
from csql_ml.model.promotions import Change
from csql_ml.model.saving import Training, champion_in_force, inputs_of, refused, save_champion
from csql_ml.model.succession import Trial, hold_trial
from csql_ml.model.training import Trained, fitters
from csql_ml.model.training_data import TrainingData
from csql_ml.model_report import model_report
from csql_ml.quarters import quarter_start
from csql_ml.retraining.churn import Churn, rank_churn
from csql_ml.retraining.maturity import Mature, newest_mature, refuse_without_news, standing_on, told_from
from csql_ml.snapshots import Snapshot


@dataclass(frozen=True)
class Retrained:
    """Result of `retrain`.

    Attributes
    ----------
    now
        The day stood on.
    mature
        The judged quarter, and which one is next.
    before
        The champion that was in force; None before the first training.
    training
        The training and its files; None where nothing is new.
    trial
        Champion, challenger and rules on the judged quarter; None where nobody could be judged.
    still_open
        Accounts of the judged quarter whose outcome is still open, because a lead is in work.
    churn
        From the old champion's list of last quarter to the new champion's of this one; None without an earlier list.
    would_change
        From the champion's list to that of the challenger that was not promoted, both of today.
    told_from
        Where no quarter could tell champion and challenger apart yet: the day from which one can.
    change
        The decision as recorded.
    in_force
        Name of the bundle in force now.
    """

    now: date
    mature: Mature
    before: Champion | None
    training: Training | None
    trial: Trial | None
    still_open: int
    churn: Churn | None
    would_change: Churn | None
    told_from: date | None
    change: Change
    in_force: str | None


def retrain(
    config: Config, as_of: date | None = None, on_progress: Progress | None = None, *, strict: bool = False
) -> Retrained:
    """Train the challenger of the quarter and put it in force if it is better than the champion.

    Doing it twice on the same data changes nothing: no file, no alias, no entry in the history.

    Parameters
    ----------
    as_of
        The day to stand on; default: the day after the newest row became known.
    strict
        Leave metrics out that may know the outcome (`csql_ml.model.guards`).

    Raises
    ------
    NotMatureError
        No quarter has become complete since the last training; the message says which date to wait for.
    """
    before = champion_in_force(config)
    last = promotions.read(config.models_path).last
    with open_company(config, on_progress=on_progress) as company:
        now = standing_on(company, as_of)
        mature = newest_mature(company, now)
        again = last is not None and last.as_of == now.isoformat()
        if not again:
            refuse_without_news(mature, before, last, now)
        data = pipeline.training_data(company, now, on_progress, before)
        lists = _lists(company, now)
        tellable = None if before is None or before.trained_as_of is None else told_from(company, before.trained_as_of)
    still_open = _still_open(data, mature.quarter)
    if again and last is not None and last.inputs == inputs_of(_learned_from(data, config, strict), config):
        there = promotions.in_force(config.models_path)
        return Retrained(now, mature, before, None, None, still_open, None, None, None, last, there)
    trained, checked = checked_training(data, config, on_progress, before, refused(config), strict=strict)
    trial = _trial(trained, checked, config)
    churn = _churn(lists, before, trained.champion, config)
    newest = lists[-1:] * 2
    would = _churn(newest, trained.champion, trained.challenger, config)
    training = save_champion(trained, checked, config, now, on_progress, model_report)
    change = promotions.read(config.models_path).entries[-1]
    wait = tellable if _too_early(trained, before) else None
    return Retrained(now, mature, before, training, trial, still_open, churn, would, wait, change, training.bundle.name)


def _learned_from(data: TrainingData, config: Config, strict: bool) -> TrainingData:
    """What a training rests on: with ``strict`` the columns that are not under suspicion."""
    model = config.model
    return guard(data, strict=True, trusted=model.trusted, seed=model.seed).data if strict else data


def _lists(company: Company, now: date) -> list[Snapshot]:
    """Snapshots of last quarter and of the quarter that begins or runs, as far as there is history for them."""
    month, first = company.config.company.fiscal_year_start_month, company.builder.first_day
    days = [quarter_start(now, month, ahead=ahead) for ahead in (-1, 0)]
    return list(company.snapshots([d for d in days if first is not None and d >= first + LEAST_HISTORY]))


def _still_open(data: TrainingData, quarter: date) -> int:
    rows = data.with_labels(data.now)
    return int(((rows["as_of"] == quarter) & (rows["state"] == "open")).sum())


def _trial(trained: Trained, data: TrainingData, config: Config) -> Trial | None:
    if trained.succession is not None:
        return trained.succession.trial
    if trained.validation is None:
        return None
    return hold_trial(data, config, None, fitters(data, config), trained.validation)


def _too_early(trained: Trained, before: Champion | None) -> bool:
    """Whether the judged quarter began no later than the champion in force was trained."""
    found = trained.succession
    if found is None or before is None or before.trained_as_of is None or found.reason in ("same_model", "rolled_back"):
        return False
    return found.outcome == "keep" and (found.trial is None or found.trial.quarter <= before.trained_as_of)


def _churn(lists: list[Snapshot], before: Champion | None, after: Champion | None, config: Config) -> Churn | None:
    if len(lists) < 2 or before is None or after is None:
        return None
    try:
        return rank_churn(lists[0], lists[1], before, after, config)
    except FeatureError:  # the old one reads metrics that are not there any more
        return None


# --- rollback ---------------------------------------------------------------------------------------------------------


def rollback(config: Config, reason: str | None = None) -> Change:
    """Put the previous champion back; the one in force becomes the challenger.

    Doing it again goes one champion further back. What was rolled back does not come back by itself: the same model
    from the same data is refused by later trainings.

    Parameters
    ----------
    reason
        Why; kept in the history.

    Raises
    ------
    BundleError
        There is no earlier champion, or its bundle is gone or damaged; nothing has changed then.
    """
    folder = config.models_path
    promotions.finish(config)
    current = promotions.in_force(folder)
    if current is None:
        raise BundleError(f"nothing is in force in {folder}: there is nothing to roll back; csql train comes first")
    came = promotions.read(folder).came_by(current)
    if came is None or came.before is None:
        raise BundleError(
            f"{folder / promotions.HISTORY} knows no champion before {current}; to score with another bundle, name it "
            f"with --model, or in {folder / promotions.CHAMPION}"
        )
    bundles.load(folder / came.before)  # verified before anything changes
    sentence = reason or f"Rolled back from {current} to {came.before}."
    change = Change(
        action="rollback",
        before=current,
        after=came.before,
        challenger=current if _is_model(folder / current) else None,
        as_of=None,
        quarter=None,
        reason="rollback",
        sentence=sentence,
        inputs=None,
    )
    promotions.put_in_force(config, change)
    return change


def _is_model(folder: Path) -> bool:
    """Whether a bundle can be read and is a model; a damaged one is a good reason to roll back."""
    try:
        return bundles.load(folder).kind == "stack"
    except BundleError:
        return False
