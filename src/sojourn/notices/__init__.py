"""What Sojourn says unasked: the digest, and alerts; by mail or to a webhook. Never on the request path."""
