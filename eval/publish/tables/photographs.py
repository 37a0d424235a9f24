"""Whole photographs, and images that are none: size, time, memory."""

from __future__ import annotations

from pathlib import Path

from diffcodec.eval.common.results import Result
from diffcodec.eval.publish.tables.markdown import load, machine, table
from diffcodec.eval.publish.tables.rates import QUALITY
from diffcodec.eval.rd.mean_curve import quality_at

EFFORTS = ("fast", "default", "best")  # that are measured: all
RATES_BPP = (0.1, 0.25, 0.5, 1.0, 2.0)


# bits/dim on Kodak as their authors and benchmarks publish them.
PUBLISHED = {"EMMA": 2.604, "BMF": 2.712, "LEA": 2.766, "GraLIC": 2.803}


def images(results: Path) -> str:
    """Lossless files, with steps and without, beside other codecs', and seconds."""
    rows = []
    for name in ("kodak", "gb82"):
        result, peers = load(results, f"lossless-{name}"), load(results, f"rd-{name}")
        whole, alone = _row(result, "default"), _row(result, "default", "none")
        row = [f"{result['dataset']['name']}, {result['dataset']['images']}"]
        row += [f"**{whole['bpd']:.3f}**", f"**{alone['bpd']:.3f}**"]
        others = peers["lossless"]["peers"]
        row += [f"{others[p]['bpd']:.3f}" for p in ("jpegxl", "webp", "jpeg2000", "png")]
        rows.append(row + _seconds(whole) + [" / ".join(_totals(alone))])
    head = ["images", "bits/dim, lossless", "without steps", "JPEG XL", "WebP", "JPEG 2000", "PNG"]
    return table([*head, "encode", "decode", "without steps"], rows)


def settings(results: Path, name: str) -> str:
    """Lossless files of a data set at every setting: size, and seconds by kind; beside JPEG XL."""
    found = [load(results, f"lossless-{name}")]
    rows = [_setting(one) for result in found for one in result["rows"]]
    peers = load(results, f"rd-{name}")["lossless"]["peers"]
    rows.append(["JPEG XL", f"{peers['jpegxl']['bpd']:.3f}", "", "", ""])
    if name == "kodak":
        rows += [[f"{who} (published)", f"{bpd:.3f}", "", "", ""] for who, bpd in PUBLISHED.items()]
    return _settings(found, rows)


def switches(results: Path) -> str:
    """Lossless files of some images by where the steps end."""
    found = [load(results, "switches-kodak")]
    return _settings(found, [_setting(one) for one in found[0]["rows"]])


def _settings(found: list[Result], rows: list[list[str]]) -> str:
    dataset = found[0]["dataset"]
    head = [f"{dataset['name']}, {dataset['images']} images", "bits/dim", "steps"]
    made = table([*head, "encode", "decode"], rows)
    return f"{made}\n\n" + "\n\n".join(map(machine, found))


def _setting(one: Result) -> list[str]:
    """A row: the setting, size, steps, seconds."""
    switch = {"none": "no steps"}.get(one["switch"], one["switch"])
    name = f"{one['effort']}, {switch}" + ", Gaussian" * (one["residual"] == "gaussian")
    return [name, f"**{one['bpd']:.3f}**", f"{one['steps']:.0f}", *_seconds(one)]


def _row(result: Result, effort: str, switch: str = "of the effort") -> Result:
    """The adaptive coder's row of a setting."""
    key = (effort, switch, "adaptive")
    found = [r for r in result["rows"] if (r["effort"], r["switch"], r["residual"]) == key]
    row: Result = found[0]
    return row


def _totals(row: Result) -> list[str]:
    return [f"{row[f'{way}_seconds']['total']:.1f} s" for way in ("encode", "decode")]


def _seconds(row: Result) -> list[str]:
    """Of both ways for an image, with their split."""
    cells = []
    for way in ("encode", "decode"):
        parts = row[f"{way}_seconds"]
        kinds = ", ".join(f"{k} {parts[k]:.1f}" for k in ("network", "trellis", "rest"))
        cells.append(f"{parts['total']:.1f} s ({kinds})")
    return cells


def efforts(results: Path) -> str:
    """One photograph at every effort: quality at some rates, size, seconds and memory."""
    rows, found = [], [load(results, f"effort-{effort}") for effort in EFFORTS]
    for effort, result in zip(EFFORTS, found, strict=True):
        curve = result["results"]
        psnr = [quality_at(curve["bpp"], curve[QUALITY], bpp) for bpp in RATES_BPP]
        row = [effort, " / ".join("-" if db is None else f"{db:.1f}" for db in psnr)]
        rows.append([*row, f"**{result['lossless']['bpd']:.3f}**", *_costs(result)])
    rates = " / ".join(f"{bpp:g}" for bpp in RATES_BPP)
    head = ["effort", f"dB at {rates} bpp", "bits/dim, lossless", "encode", "decode", "memory"]
    return f"{table(head, rows)}\n\n" + "\n\n".join(map(machine, found))


def odd(results: Path) -> str:
    """Images that no photograph looks like: bytes of lossless files, seconds."""
    result = load(results, "odd-pictures")
    rows = []
    for one in result["odd_pictures"]:
        height, width, channels = one["shape"]
        row = [one["name"], f"{width}x{height}{'' if channels == 3 else ' grey'}"]
        row += [f"{height * width * channels:,}", f"**{one['bytes']:,}**"]
        row += [f"{one['peers_bytes'][peer]:,}" for peer in ("png", "webp")]
        rows.append([*row, f"{one['encode_seconds']:.2f} s", f"{one['decode_seconds']:.2f} s"])
    head = ["image", "size", "raw bytes", "diffcodec", "PNG", "WebP", "encode", "decode"]
    return f"{table(head, rows)}\n\n{machine(result)}"


def large(results: Path) -> str:
    """Time and memory of large photographs."""
    result = load(results, "large")
    rows = []
    for one in result["large"]:
        row = [f"{one['shape'][1]}x{one['shape'][0]}", f"{one['bpd']:.3f}"]
        for way in ("encode", "decode"):
            took = one[way]
            row += [f"{took['seconds']:.0f} s", f"{took['peak_memory_bytes'] / 2**30:.2f} GiB"]
        rows.append([*row, "yes" if one["exact"] else "no"])
    head = [f"effort {result['effort']}", "bits/dim", "encode", "memory", "decode", "memory"]
    return f"{table([*head, 'exact'], rows)}\n\n{machine(result)}"


def lossless(results: Path) -> str:
    """Kodak without loss: bound, ideal code and real files at two numbers of steps."""
    rows, commands = [], []
    for steps, bounds, coded in (
        (50, "bound-kodak-own", "rd-kodak"),
        (100, "bound-kodak-own100", "rd-kodak-best"),
    ):
        bound, files = load(results, bounds), load(results, coded)
        end = files["lossless"]
        rows.append([f"NELBO of the codec's own {steps} levels", f"{bound['nelbo']['bpd']:.3f}"])
        rows.append([f"ideal code of {steps} steps (sum of MI)", f"{end['bpd_ideal_mi']:.3f}"])
        exact = f"{end['exact']} of {files['dataset']['images']} exact"
        rows.append([f"**files of {steps} steps**, {exact}", f"**{end['bpd']:.3f}**"])
        commands += [machine(bound), machine(files)]
    peers = load(results, "rd-kodak")["lossless"]["peers"]
    named = {"png": "PNG", "webp": "WebP", "jpeg2000": "JPEG 2000", "jpegxl": "JPEG XL"}
    rows += [[name, f"{peers[key]['bpd']:.3f}"] for key, name in named.items()]
    rows.append(["FLIF (published)", "2.90"])
    return f"{table(['Kodak, 24 images', 'bits/dim'], rows)}\n\n" + "\n\n".join(commands)


def _costs(result: Result) -> list[str]:
    """Seconds of both ways for an image, with their split, and peak memory."""
    cells = []
    for way in ("encode", "decode"):
        parts = result["seconds_per_picture"][way]
        kinds = ", ".join(f"{k} {parts[k]:.1f}" for k in ("network", "trellis", "rest"))
        cells.append(f"{parts['total']:.1f} s ({kinds})")
    return [*cells, f"{result['peak_memory_bytes'] / 2**30:.1f} GiB"]
