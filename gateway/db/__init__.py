"""The database: tables, statements rendered once for both drivers, connections, and the writer that commits in groups."""
