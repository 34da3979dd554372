"""What the gateway says about itself: metrics, logs, and how long its event loop was blocked."""
