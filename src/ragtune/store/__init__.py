"""Implementations of the Store Protocol."""
