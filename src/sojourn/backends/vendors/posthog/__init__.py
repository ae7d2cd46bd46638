"""PostHog: events to its capture API."""
