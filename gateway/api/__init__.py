"""HTTP only: routes, validation, contracts and answers. Read `routes.py` first, then `server.py`."""
