"""What can be told of a picture: its type and dimensions from the headers alone."""
