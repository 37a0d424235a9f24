"""Integer networks of bytes: what goes into a convolution has 8 bits, and so have its weights."""
