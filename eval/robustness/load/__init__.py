"""Load: many commands side by side for minutes, and many calls in one process."""
