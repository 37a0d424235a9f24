"""The codec on other processors and otherwise built: the same bits everywhere."""
