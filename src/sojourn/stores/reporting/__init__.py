"""What the report reads, for every database: figures, lists and rollups."""
