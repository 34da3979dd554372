"""Money: holds that fit every budget on their path, settled once. Decisions are pure (decide.py); rows are the store's."""
