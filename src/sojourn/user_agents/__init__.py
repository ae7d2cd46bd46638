"""What a `User-Agent` declares: the kind of client (`kinds`), and its browser, system and device (`families`)."""
