"""csql_ml: expansion propensity for customer success."""

__version__ = "0.1.0"
