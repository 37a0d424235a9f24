"""Files of every kind that people have, made small: what `odd_inputs` puts through the codec."""
