"""Dynatrace: business events."""
