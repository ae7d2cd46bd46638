"""One folder per vendor: an encoder from events to the calls of its API, and the backend that names it."""
