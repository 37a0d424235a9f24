"""The network in integers: the same bits on every machine (see graph.py, bytewise/graph.py)."""
