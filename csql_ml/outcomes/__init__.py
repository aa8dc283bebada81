"""What became of the leads: funnel figures against the benchmarks, and the proof of concept as an experiment.

`csql_ml.outcomes.measure` is ``csql measure``, `csql_ml.outcomes.planning` and `csql_ml.outcomes.uplift` are
``csql poc plan`` and ``csql poc read``; docs/outcomes.md says what each figure means.
"""
