"""An OpenAI-compatible gateway for image generation: exact budgets, durable tasks, the cheapest upstream that can do it."""

__version__ = "0.1.0"
