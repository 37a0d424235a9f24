"""Bytes made to break what reads them: targets, a corpus, mutations, and a runner of millions."""
