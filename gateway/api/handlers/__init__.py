"""One module for each group of routes. A handler validates, calls a use case and renders; it decides nothing about money or upstreams."""
