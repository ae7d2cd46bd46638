"""How a store, its journals and its backends stand, and what of it is not well: for the command line and the report."""
