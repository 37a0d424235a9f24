"""What all measurements share: pictures, records, metrics, the machine."""
