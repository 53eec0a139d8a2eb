"""Hydra: from a command line to validated configurations. The only room that composes."""
