"""What a `User-Agent` says: which kind of client sent it, and its browser, system and device families."""
