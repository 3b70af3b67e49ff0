"""From files and database rows to indexed passages: sources, parse, split, sync."""
