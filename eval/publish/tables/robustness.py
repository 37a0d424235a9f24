"""What was done to break the codec, and what came of it."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.publish.tables.markdown import load, machine, table

MIB = 1 << 20
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")


def fuzzing(results: Path) -> str:
    """Made-up inputs of every parser and decoder."""
    result = load(results, "fuzz")
    rows = [
        [
            one["about"],
            *(f"{one[key]:,}" for key in ("inputs", "accepted", "refused")),
            f"{one['slowest_cpu_seconds']:.2f} s",
            f"{one['memory_bytes'] / MIB:.0f} MiB",
            f"**{one['findings']:,}**",
        ]
        for one in result["fuzzing"]
    ]
    total = [f"{sum(one[key] for one in result['fuzzing']):,}" for key in ("accepted", "refused")]
    found = sum(one["findings"] for one in result["fuzzing"])
    rows.append(["all", f"{result['inputs']:,}", *total, "", "", f"**{found:,}**"])
    head = ["what reads it", "inputs", "accepted", "refused", "slowest", "memory", "findings"]
    return f"{table(head, rows)}\n\n{machine(result)} {result['seconds'] / 60:.0f} minutes."


def faults(results: Path) -> str:
    """Commands that were killed, had no disk left, could not read, or ran twice at once."""
    result = load(results, "faults")
    others = [{one["command"]: one for one in result[kind]} for kind in ("disk", "reads", "pairs")]
    rows = []
    for one in result["kills"]:
        signals = [one["signals"][name] for name in SIGNALS]
        disk, reads, pairs = (by[one["command"]] for by in others)
        found = sum(len(by["findings"]) for by in (*signals, disk, reads, pairs))
        rows.append(
            [
                one["command"],
                *(f"{by['moments']}" for by in signals),
                f"{sum(by['some of it'] for by in signals)}",
                f"{disk['by_bytes'] + disk['by_pages']}",
                f"{reads['reads']}",
                f"{pairs['pairs']}",
                f"**{found}**",
            ]
        )
    head = [
        "command",
        *SIGNALS,
        "with some of it done",
        "full disks",
        "bad reads",
        "pairs",
        "findings",
    ]
    return f"{table(head, rows)}\n\n{machine(result)} {result['seconds'] / 60:.0f} minutes."


def prefixes(results: Path) -> str:
    """Files cut at many bytes, each prefix decoded by itself."""
    result = load(results, "prefixes")
    side = result["crop"]
    kinds = {
        "golden": "golden files, all prefixes",
        "small": "32x32 of Kodak by both networks, all prefixes",
        "large": f"{side}x{side} of Kodak by `photo-large`, random prefixes",
    }
    rows = []
    for kind, about in kinds.items():
        files = result[kind]
        falls = [one["fall_db"] for one in files if "model" in one]
        late = sum(one["refused_late"] for one in files)
        wrong = sum(one.get("wrong", 0) + one.get("fewer", 0) for one in files)
        other = sum(len(one["otherwise"]) for one in files if one.get("otherwise"))
        rows.append(
            [
                about,
                f"{len(files)}",
                *(f"{sum(one[key] for one in files):,}" for key in ("prefixes", "images")),
                f"{late + wrong + other}",
                f"{max(falls):.3f} dB" if falls else "-",
            ]
        )
    head = [
        "what is cut",
        "files",
        "prefixes",
        "images",
        "refused late or wrong",
        "worse than a shorter",
    ]
    return f"{table(head, rows)}\n\n{machine(result)}"


def side_by_side(results: Path) -> str:
    """Encoders and decoders at the same time, and many calls in one process."""
    result = load(results, "load")
    together = result["together"]
    memory = ("memory_first", "memory_last", "memory_most")
    commands = [
        [one["command"], f"{one['runs']}", f"{one['seconds']:.1f} s"]
        + [f"{one[key] / MIB:.0f} MiB" for key in memory]
        for one in together["commands"]
    ]
    head = ["command", "runs", "mean time", "memory, first third", "last third", "at most"]
    calls = [
        [
            one["calls"],
            f"{one['count']:,}",
            *(f"{one[when]['memory'] / MIB:.1f} MiB" for when in ("before", "after")),
            *(f"{one['after'][what] - one['before'][what]}" for what in ("files", "threads")),
        ]
        for one in result["one_process"]
    ]
    of_calls = ["calls in one process", "count", "memory", "then", "more files", "more threads"]
    faults = len(together["faults"]) + len(together["left"])
    return (
        f"{together['runs']} commands in {together['minutes']:.0f} minutes, "
        f"{together['side_by_side']} at a time; **{faults}** failed or left something.\n\n"
        f"{table(head, commands)}\n\n{table(of_calls, calls)}\n\n{machine(result)}"
    )


def portability(results: Path) -> str:
    """The codec otherwise built, and on other processors."""
    result = load(results, "portability")
    here = result["environment"]["system"].split()[-1]
    rows = []
    for one in result["variants"]:
        if "missing" in one:
            rows.append([one["variant"], one["missing"], "", "", "", "", ""])
            continue
        where = f"{one['machine']}, {one['bits']} bits, {one['byte_order']}-endian"
        failed = len(one["checks_failed"]) + one["tests_failed"]
        rows.append(
            [
                one["variant"],
                where + (", emulated" if one["machine"] != here else ""),
                "no" if one["flags"] is None else "yes",
                f"{one['checks_passed']}",
                f"{one['tests_passed']:,}",
                f"**{failed}**",
                f"{one['seconds'] / 60:.0f} min",
            ]
        )
    head = ["variant", "runs on", "compiled", "checks", "tests", "failed", "time"]
    return f"{table(head, rows)}\n\n{machine(result)}"
