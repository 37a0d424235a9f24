"""Rate and distortion of files."""
