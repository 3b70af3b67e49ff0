"""Which approach fits: the arms side by side on one's own questions, measured and judged."""
