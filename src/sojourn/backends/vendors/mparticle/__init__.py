"""mParticle: batches to its Events API."""
