"""One explainer of LightGBM trees at work: its CPU seconds, and the SHAP values of the first rows.

    python explain_trees.py NAME MODEL.txt[,MODEL.txt ...] ROWS.npy COUNT OUT.npy

Runs in the toolkit's environment or in that of a peer; what it imports of either is therefore inside. Models are loaded
and tables made before the clock starts. COUNT rows are explained in blocks, over and over the rows of the file. Prints
one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm as lgb
import numpy as np

#: Rows of one call.
BLOCK = 50_000
#: Rows whose values are compared.
COMPARED = 2_000
Explain = Callable[[Any], Any]
Texts = list[str]


class Explainer(NamedTuple):
    """A package and what prepares its explanation of a bag of models: (n, columns) SHAP values, None if none."""

    package: str
    prepared: Callable[[Texts], Explain]


def _boosters(texts: Texts) -> list[lgb.Booster]:
    return [lgb.Booster(model_str=text) for text in texts]


def _predict(texts: Texts) -> Explain:
    models = _boosters(texts)

    def predict(rows: Any) -> None:
        for model in models:
            model.predict(rows, raw_score=True, num_threads=1)

    return predict


def _pred_contrib(texts: Texts) -> Explain:
    models = _boosters(texts)
    return lambda rows: _mean(m.predict(rows, pred_contrib=True, num_threads=1)[:, :-1] for m in models)


def _toolkit(texts: Texts) -> Explain:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from csql_ml.model.trees import TreeBag

    bag = TreeBag(tuple(texts))
    return lambda rows: bag.margin_and_parts(rows)[1]


def _mean(found: Any) -> Any:
    listed = list(found)
    return sum(listed) / len(listed)


def _by_model(make: Callable[[lgb.Booster], Explain]) -> Callable[[Texts], Explain]:
    def prepared(texts: Texts) -> Explain:
        explainers = [make(model) for model in _boosters(texts)]
        return lambda rows: _mean(_of_positive(explain(rows)) for explain in explainers)

    return prepared


def _of_positive(found: Any) -> Any:
    """Some give both classes, some the positive one only."""
    return found[1] if isinstance(found, list) else found


def _shap(model: lgb.Booster) -> Explain:
    import shap

    return shap.TreeExplainer(model, feature_perturbation="tree_path_dependent").shap_values  # type: ignore[no-any-return]


def _woodelf(model: lgb.Booster) -> Explain:
    import pandas as pd
    from woodelf import WoodelfExplainer

    explainer, names = WoodelfExplainer(model), model.feature_name()
    return lambda rows: np.asarray(explainer.shap_values(pd.DataFrame(rows, columns=names)))


def _fasttreeshap(algorithm: str) -> Callable[[lgb.Booster], Explain]:
    def make(model: lgb.Booster) -> Explain:
        import fasttreeshap

        # Without the shortcut, which hands over to LightGBM.
        settings = {"algorithm": algorithm, "n_jobs": 1, "shortcut": False}
        explainer = fasttreeshap.TreeExplainer(model, feature_perturbation="tree_path_dependent", **settings)
        # Without its own check, which stops at wrong values: how wrong they are is what the table says.
        return lambda rows: explainer.shap_values(rows, check_additivity=False)

    return make


EXPLAINERS = {
    "predict": Explainer("lightgbm", _predict),
    "toolkit": Explainer("csql_ml", _toolkit),
    "pred_contrib": Explainer("lightgbm", _pred_contrib),
    "shap": Explainer("shap", _by_model(_shap)),
    "woodelf": Explainer("woodelf-explainer", _by_model(_woodelf)),
    "fasttreeshap v1": Explainer("fasttreeshap", _by_model(_fasttreeshap("v1"))),
    "fasttreeshap v2": Explainer("fasttreeshap", _by_model(_fasttreeshap("v2"))),
}


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:  # the toolkit, read from its folder
        return f"{package} {import_module(package).__version__}"


def _peak() -> float:
    """Most memory this program has held, in MB; what getrusage says may be that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Explain, and say what it took."""
    name, models, file, count, out = sys.argv[1:]
    warnings.simplefilter("ignore")
    explainer = EXPLAINERS[name]
    explain = explainer.prepared([Path(p).read_text(encoding="utf-8") for p in models.split(",")])
    rows = np.load(file)
    values = explain(rows[:COMPARED])
    if values is not None:
        np.save(out, values)
    begun, done = time.process_time(), 0
    while done < int(count):
        start = done % len(rows)
        block = rows[start : start + min(BLOCK, int(count) - done)]
        explain(block)
        done += len(block)
    cpu = time.process_time() - begun
    print(json.dumps({"rows": done, "cpu": cpu, "peak": _peak(), "version": _version(explainer.package)}))


if __name__ == "__main__":
    main()
