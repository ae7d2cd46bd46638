"""What a test of an app behind Sojourn needs: a clock you move, an in-memory backend, fixtures, contracts."""
