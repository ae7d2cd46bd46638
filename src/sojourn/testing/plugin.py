"""The pytest plugin: fixtures that pytest finds by itself once Sojourn is installed."""
