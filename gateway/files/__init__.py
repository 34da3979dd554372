"""Pictures that callers give: whose they are, what is known of them, how long they live and how many a key may have."""
