"""Where bits and seconds go: traces of an encoder, the ledger of a file."""
