"""What a machine does to a command: signals, a full disk, reads that fail, a second run beside it.

`scene.py` makes inputs, `cases.py` says what commands make of them, `calls.py` runs one,
`judge.py` looks at what it left; `kills.py`, `disk.py`, `reads.py` and `pairs.py` do the harm.
"""
