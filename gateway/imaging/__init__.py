"""Pictures: what their headers tell, and conversion in processes that may break without harm."""
