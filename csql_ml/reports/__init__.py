"""Reports a customer success manager opens: `report` writes the CSM site of a scoring run."""

from csql_ml.reports.csm_site import ReportSummary, report

__all__ = ["ReportSummary", "report"]
