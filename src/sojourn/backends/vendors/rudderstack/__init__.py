"""RudderStack: events to a data plane."""
