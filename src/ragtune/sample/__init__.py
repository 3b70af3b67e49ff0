"""The sample company of `ragtune demo`, with its questions; see README.md beside this file."""
