"""The inbox: how an application writes an event in a transaction of its own, and the recorder takes it.

See P35 in docs/internals.md.
"""
