"""From results to documents and shipped networks."""
