"""What is drawn, not received: other ways to show a cut."""
