"""Integer networks: the same bits everywhere, what they cost, how fast they are."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.publish.tables.markdown import load, machine, table

FLOAT = "float32 torch"
SETS = {"amx": "AMX", "vnni": "VNNI", "avx512": "AVX-512", "avx2": "AVX2", "portable": "portable C"}


def settings(results: Path) -> str:
    """How many different answers one machine gave."""
    result = load(results, "exact-settings")
    environments = len({str(answer["environment"]) for answer in result["answers"]})
    names = {
        "exact": "outputs of the integer network",
        "file": "files that it encodes",
        "float": "outputs of the float network with the same weights",
    }
    rows = [
        [name, f"{result['counts'][kind]['settings']}", f"**{result['counts'][kind]['distinct']}**"]
        for kind, name in names.items()
    ]
    head = [f"`{result['network']}`, {environments} environments of libraries", "settings"]
    return f"{table([*head, 'distinct hashes'], rows)}\n\n{machine(result)}"


def cost(results: Path) -> str:
    """What the integers cost in bits."""
    rows, commands = [], []
    for name in ("cifar10", "photo"):
        result = load(results, f"exact-cost-{name}")
        commands.append(machine(result))
        error = result["standard_error_bpd"]
        rows.append(
            [
                f"`{name}`",
                f"{result['images']} of {result['dataset']['name']}",
                f"{result['T']}",
                f"{result['float_bpd']:.4f}",
                f"{result['exact_bpd']:.4f}",
                f"**{result['difference_bpd']:+.1e}** +- {error:.0e}",
            ]
        )
    head = ["network", "images", "steps", "float, bits/dim", "integers", "difference"]
    return f"{table(head, rows)}\n\n" + "\n\n".join(commands)


def speed(results: Path) -> str:
    """Time of a call beside float32 torch with as many threads."""
    result = load(results, "exact-speed")
    rows = []
    for record in result["records"]:
        paths = {name: row["wall_seconds"] for name, row in record["paths"].items()}
        row = [f"`{record['network']}`", "{pictures} x {width}x{height}".format(**record)]
        row += [f"{record['threads']}", f"{1000 * paths[FLOAT]:.1f}"]
        for name in (*(f"compiled, {isa}" for isa in SETS), "float64, torch"):
            row.append(f"{paths[name] / paths[FLOAT]:.2f}" if name in paths else "-")
        rows.append(row)
    head = ["network", "images", "threads", "float32 torch, ms"]
    head += [f"kernel, {isa}" for isa in SETS.values()] + ["float64 torch"]
    return f"{table(head, rows)}\n\n{machine(result)}"
