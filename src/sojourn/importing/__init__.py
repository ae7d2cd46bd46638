"""Sessions out of access logs, by the rules and the fold of recorded ones. Nothing of it goes to any backend.

See P42 in docs/internals.md.
"""
