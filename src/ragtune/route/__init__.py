"""Training and judging the router: which way a question goes before anything is searched."""
