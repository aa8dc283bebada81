"""What the stand-up talks about: what changed between two runs, what to hand over now, what waits, what is due.

A change is read off the accounts of two runs. What is handed over goes through the routing of ``csql push``
(`csql_ml.handoff.routing`): no portfolio beyond its capacity, nothing in its cooldown, no second lead of one motion.
What was handed over before stands in the outbox, of which a copy is read; where nothing was pushed, the leads of the
earlier run count as handed over, as far as the capacities went.
"""

from csql_ml.standup.changes import CHANGES, Standing, changes_between
from csql_ml.standup.data import digest

__all__ = ["CHANGES", "Standing", "changes_between", "digest"]
