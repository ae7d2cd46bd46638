"""Backends that need no vendor: console, file, webhook. A module is named after the scheme of its URL."""
