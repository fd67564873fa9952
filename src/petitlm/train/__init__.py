"""Runs: a recipe and rows of tokens become a trained decoder."""
