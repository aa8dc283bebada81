"""Monitoring: whether the champion still sees what it was trained on, and whether what it foretold comes true.

`csql_ml.monitoring.monitor.monitor` puts the checks together: `drift`, `realised` results, `arrivals` of data and
`reasons` that churn. Every check gives findings as codes with typed values; sentences are made by the reports.
"""
