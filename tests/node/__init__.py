"""Packages from npm that tests use, installed once by `npm ci`."""
