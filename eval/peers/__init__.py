"""The codecs people use, measured alike."""
