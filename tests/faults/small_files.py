"""The configuration of a company of two accounts whose tables are files."""

CONFIG = """
company: {currency: EUR}
data:
  folder: .
  tables: {accounts: accounts.csv, contracts: contracts.csv, events: events.csv}
models_folder: out/models
activity_folder: out/activity
delivery: {outbox: out/outbox.sqlite, files: {folder: out/handoff}}
"""
