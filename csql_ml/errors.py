"""The one exception tree of csql_ml.

==================  =========  ==========================================================
class               exit code  raised when
==================  =========  ==========================================================
CsqlError           1          base class; the job found a problem it cannot work around
UsageError          2          a command was called wrongly
ConfigError         2          the configuration file is missing, malformed or contradictory
SourceError         1          a mapped file, query or database cannot be read
ContractError       1          an input table breaks the contract and the job must stop
FeatureError        1          a feature table (``--features``) cannot be used
NotMatureError      1          outcomes are not complete yet; the message says from when
TrainingError       1          there is nothing a model could be trained or judged on
BundleError         1          a model bundle is damaged, foreign or of another version
OutputError         1          an output folder cannot be written or holds something else
DeliveryError       1          nothing can be handed over: the sink refuses, or another push is sending
MissingExtraError   2          an optional dependency is not installed
==================  =========  ==========================================================

Every message says what was found, what was expected and what to do next. Messages name files, tables, columns and
keys; they never contain other values of customers' rows.
"""

from __future__ import annotations


class CsqlError(Exception):
    """The job found a problem it cannot work around."""

    exit_code = 1


class UsageError(CsqlError):
    """A command was called wrongly."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration file is missing, malformed or contradictory."""


class SourceError(CsqlError):
    """A mapped file, query or database cannot be read."""


class ContractError(CsqlError):
    """An input table breaks the contract and the job must stop."""


class FeatureError(CsqlError):
    """A feature table of one's own (``--features``) cannot be used."""


class NotMatureError(CsqlError):
    """Outcomes are not complete yet; the message says which date to wait for."""


class TrainingError(CsqlError):
    """There is nothing a model could be trained or judged on."""


class BundleError(CsqlError):
    """A model bundle is damaged, foreign or of another version."""


class OutputError(CsqlError):
    """An output folder cannot be written, or holds something else."""


class DeliveryError(CsqlError):
    """Nothing can be handed over: the sink refuses, or another push is sending."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed; the message has the install command."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'csql-ml[{extra}]'")
