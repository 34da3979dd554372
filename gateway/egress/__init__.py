"""The only way out of the process: which addresses may be dialled, the client sessions, and bounded downloads."""
