"""`csql init`: look at a folder or a database and propose a configuration.

Names, values and keys that join are weighed against each other; what is not sure is written as a remark, never as a
mapping. A proposal is text for a person to read; nothing is read but a bounded sample of each source.
"""

from csql_ml.proposing.proposal import Proposal, propose

__all__ = ["Proposal", "propose"]
