"""The command `gateway`: parses, calls, prints. One module a noun; `operator` carries a command to a running gateway or to the database."""
