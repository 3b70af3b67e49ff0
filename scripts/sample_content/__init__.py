"""Texts and tables of the sample company, and the writers that turn them into files."""
