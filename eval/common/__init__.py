"""What all measurements share: images, records, metrics, the machine."""
