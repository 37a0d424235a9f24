"""Integer networks: the same bits everywhere, what they cost, how fast they are."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.publish.tables.markdown import load, machine, table

FLOAT = "float32 torch"
TORCH = {"float64, torch": "float64 torch", "int8, torch": "int8 torch"}
SETS = {
    "amx": "AMX",
    "vnni": "VNNI",
    "avxvnni": "AVX-VNNI",
    "avx512": "AVX-512",
    "avx2": "AVX2",
    "portable": "portable C",
}


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
        if kind in result["counts"]
    ]
    head = [f"`{result['network']}`, {environments} environments of libraries", "settings"]
    return f"{table([*head, 'distinct hashes'], rows)}\n\n{machine(result)}"


def cost(results: Path) -> str:
    """What the integers cost in bits."""
    rows, commands = [], []
    for name in ("cifar10", "photo", "photo-large"):
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
    """Time of a call beside float32 torch with as many threads; alone, seconds."""
    result = load(results, "exact-speed")
    measured = {name for record in result["records"] for name in record["paths"]}
    paths = {f"compiled, {isa}": f"kernel, {name}" for isa, name in SETS.items()} | TORCH
    paths = {name: head for name, head in paths.items() if name in measured}
    rows = []
    for record in result["records"]:
        found = {name: row["wall_seconds"] for name, row in record["paths"].items()}
        beside = found.get(FLOAT)
        kind = ", bytes" if record.get("version") == 2 else ""
        row = [f"`{record['network']}`{kind}", "{pictures} x {width}x{height}".format(**record)]
        row += [f"{record['threads']}", f"{1000 * beside:.1f}" if beside else "-"]
        rows.append([*row, *(_beside(found.get(name), beside) for name in paths)])
    head = ["network", "images", "threads", "float32 torch, ms", *paths.values()]
    return f"{table(head, rows)}\n\n{machine(result)}"


def _beside(seconds: float | None, reference: float | None) -> str:
    """The ratio of times; the time where there is no reference."""
    if seconds is None:
        return "-"
    return f"{seconds:.1f} s" if reference is None else f"{seconds / reference:.2f}"
