"""Scores of accounts, for lists and reports; sales and customer success read them, csql_ml writes them."""

from trytond.model import ModelSQL, ModelView, fields

from trytond_csql.keyed import Keyed


class Score(Keyed, ModelSQL, ModelView):
    """The newest score of an account."""

    __name__ = "csql.score"
    party = fields.Many2One("party.party", "Account", required=True, readonly=True, ondelete="CASCADE")
    csql_risk_flags = fields.Char("Risks", readonly=True)
    csql_failed_gates = fields.Char("Failed Gates", readonly=True)
