"""What goes wrong on a cluster, in one line and without values of rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from csql_ml.errors import ConfigError, SourceError
from csql_ml.spark_session import reason, spark_errors

_NO_MODULE = re.compile(r"No module named '(?P<module>[\w.]+)'")
_OUR_OWN = re.compile(r"csql_ml\.errors\.\w+: (?P<message>.+)")


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn what Spark raises into an error of csql_ml.

    Raises
    ------
    ConfigError
        The workers' Python lacks a module.
    SourceError
        Anything else.
    """
    try:
        yield
    except spark_errors() as error:
        missing, told = _NO_MODULE.search(str(error)), _OUR_OWN.search(str(error))
        if missing:
            raise ConfigError(
                f"engine: spark: the workers' Python has no module {missing['module']}; install csql-ml[spark] on "
                "every machine and name that Python in PYSPARK_PYTHON, or send an environment along (docs/scale.md)"
            ) from error
        if told:
            raise SourceError(f"engine: spark: {told['message']}") from error
        raise SourceError(f"engine: spark: the job did not finish: {reason(error)}") from error
