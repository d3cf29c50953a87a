"""Programs that show atone at work. Each is also a test; none of them is installed."""
