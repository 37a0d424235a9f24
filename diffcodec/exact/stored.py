"""Integer networks from their files, whichever kind they are of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffcodec.errors import CheckpointError
from diffcodec.exact.bytewise.graph import ByteGraph
from diffcodec.exact.graph import Graph
from diffcodec.exact.integers import KEY
from diffcodec.exact.stated import check_stated
from diffcodec.network.tensors import Tensors, load

AnyGraph = Graph | ByteGraph

KINDS: dict[int, type[Graph] | type[ByteGraph]] = {
    Graph.VERSION: Graph,
    ByteGraph.VERSION: ByteGraph,
    Graph.WINDOWS: Graph,
}


def load_integers(path: Path) -> AnyGraph:
    """Read a file and check its fingerprint; raises CheckpointError."""

    def make(known: dict[str, Any], tensors: Tensors) -> AnyGraph:
        structure = dict(known["structure"])
        version = structure.pop("version", 1)
        if type(version) is not int or version not in KINDS:
            raise CheckpointError(
                f"{path} is an integer network of version {version}, which this program does not "
                "know; get a newer diffcodec"
            )
        network = KINDS[version].from_structure(structure, tensors, known["facts"])
        check_stated(network)
        return network

    return load(path, KEY, make, "integer network")
