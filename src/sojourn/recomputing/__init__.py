"""The past by other rules: the event log replayed through the core. Nothing of it goes to any backend.

See P43 in docs/internals.md.
"""
