"""``python -m csql_ml``."""

from csql_ml.cli import main

main()
