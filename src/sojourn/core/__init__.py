"""The pure core: state, rules and events. Time, ids and hashes are arguments."""
