"""What is not kept for ever: pictures, prompts and tasks, deleted after their time, in small bites, by one process; and how far behind it is."""
