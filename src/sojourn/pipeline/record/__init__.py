"""From the journal into the store: the recorder and its pure arithmetic."""
