"""Every prefix of a file is an image, or refused in a sentence; and a longer one is no worse."""
