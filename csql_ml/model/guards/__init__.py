"""Guards: columns that look too good to be true, or that say something else when scoring than when training.

Before a training: `guard` names columns that may know the outcome (`csql_ml.model.guards.suspicion`). When scoring:
`skewed` names columns whose values are not those the champion learned from (`csql_ml.model.guards.skew`). A suspect is
a question to the owner of the data, not a proof: only ``csql train --strict`` leaves suspects out.
"""

from csql_ml.model.guards.find import Guarded, guard
from csql_ml.model.guards.skew import Skew, skewed
from csql_ml.model.guards.suspicion import Suspect

__all__ = ["Guarded", "Skew", "Suspect", "guard", "skewed"]
