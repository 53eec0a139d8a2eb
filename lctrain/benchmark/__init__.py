"""Timing layers and models, and choosing implementations by what was measured."""
