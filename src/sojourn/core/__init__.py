"""The pure core: state, rules and events. Knows no clock, randomness, I/O, logging or settings object."""
