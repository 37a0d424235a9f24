"""What the code does, as digests: a result is stale when what decides about it does otherwise.

Sources are not compared, so that names may change and files move. Each probe computes something
small and fixed, with the network of the golden files, which never changes; numbers in floating
point count to `DIGITS` digits, since machines differ in the last ones. What it computes is named
here, efforts and codecs for instance: one that is added makes no result stale.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from diffcodec.bitstream.types import Float32, Pixels
from diffcodec.codec import Codec
from diffcodec.golden import NETWORK

DIGITS = 6  # significant ones
EFFORTS = ("fast", "default", "best")
PEERS = ("jpeg", "jpeg2000", "webp", "avif", "png")  # of JPEG XL results state the version


def image(height: int, width: int, seed: int = 0, grain: int = 23) -> Pixels:
    """(height, width, 3) uint8: slopes with grain, from integers alone."""
    y, x = np.indices((height, width))
    slopes = np.stack([60 + 2 * x + y, 80 + 2 * y, 200 - x - y + seed], axis=-1)
    noise = ((x * 7919 + y * 104729 + seed) * 2654435761 >> 9) % grain
    return np.asarray((slopes + noise[..., None]) % 256, np.uint8)


def noise(*shape: int) -> Float32:
    """Numbers between -2 and 2 that look random, from integers alone."""
    n = np.arange(1, np.prod(shape) + 1, dtype=np.int64)
    return ((n * 2654435761 % 2**32 >> 14) / 2**16 - 2).astype(np.float32).reshape(shape)


@cache
def codec() -> Codec:
    """Of the golden files' network."""
    return Codec.from_pretrained(NETWORK, threads=1)


# --- the probes ---------------------------------------------------------------------------------


def files() -> list[Any]:
    """Encoders at every effort, of graphics, noise and narrow images; what a cut decodes to."""
    pixels, flat = image(24, 40), np.full((24, 24, 3), (40, 90, 200), np.uint8)
    flat[6:15, 4:20] = (250, 250, 10)
    whole, *made = (codec().encode(pixels, effort=effort) for effort in EFFORTS)
    made += [codec().encode(other) for other in (flat, image(20, 20, grain=256), pixels[:1, :9])]
    made.append(codec().encode(pixels, chain="ddpm:20"))
    return [whole, *made, codec().decode(whole, max_bytes=len(whole) // 3).pixels]


def archives() -> list[Any]:
    """An archive of some images, and the bound that it is compared with."""
    from diffcodec.archive.archive import make_header, write_archive
    from diffcodec.archive.groups import Source
    from diffcodec.eval.likelihood.chain_bound import bounds

    images = [image(16, 24, seed) for seed in range(5)]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "a.dfa"
        sources = [Source(f"{i}.png", pixels) for i, pixels in enumerate(images)]
        header = make_header(codec(), "12", 16, network="always")
        write_archive(codec(), sources, target, header)
        data = target.read_bytes()
    return [data, bounds(str(NETWORK), header, [i[:, :16] for i in images], 1, None)]


def coder() -> list[Any]:
    """The path bits of fixed targets, and what they decode to."""
    from diffcodec.bitstream.step_codes import STEP_CODES

    found = []
    for dims, n in ((2048, 128), (1 << 17, 1 << 14)):
        for code in STEP_CODES if n < 1000 else STEP_CODES[-2:]:
            path = code.encode(noise(dims), n, 1, 0)
            found += [path, code.decode(path, n, dims, 1, 0)[0]]
    return found


def stack() -> list[Any]:
    """The stack of archives: what is popped from fixed bytes, and what pushing leaves."""
    from diffcodec.bitstream.ans import Stack
    from diffcodec.bitstream.gaussian import PHASES
    from diffcodec.bitstream.latents import Code

    table = Code.of(4.0, False).table
    mean = PHASES * (table.n // 2) + np.arange(600) % PHASES - PHASES // 2
    full = Stack(image(30, 40).tobytes())
    full.open()
    popped = full.pop(table, mean)
    full.push(table, mean, popped[::-1].copy())
    return [popped, full.pack()]


def network() -> list[Any]:
    """x0_hat of fixed states: integers decide about it, so every bit counts."""
    y = noise(3, 24, 32)
    return [codec().denoiser(y * np.float32(s), s * s).tobytes() for s in (0.02, 0.3, 4.0)]


def bound() -> list[Any]:
    """The variational bound of two images: DDPM's, with a stride, at the network's own levels."""
    from diffcodec.eval.likelihood.elbo import nelbo
    from diffcodec.eval.likelihood.plan import Settings
    from diffcodec.zoo import load_network

    denoiser, pixels = (
        load_network(NETWORK, threads=1),
        np.stack([image(16, 16, i) for i in (0, 9)]),
    )
    v = codec().tables.chains["12"][::-1]
    errors = tuple(map(codec().tables.error, v))
    kinds = [Settings(steps=20), Settings(steps=20, sigma2="beta_tilde", stride=2)]
    kinds += [Settings("levels", 12, "widened", levels=v, errors=errors)]
    found = [nelbo(denoiser, pixels, settings) for settings in kinds]
    columns = ("sigma_grey", "L_bpd", "rate_bpd", "rmse_grey")
    return [
        [one["nelbo"]["bpd"], one["nelbo"]["standard_error_bpd"]]
        + [row[column] for row in one["per_step"] for column in columns]
        for one in found
    ]


def levels() -> list[Any]:
    """Tables measured on some images, and the noise levels chosen by them."""
    from diffcodec.eval.likelihood.step_counts import against_steps
    from diffcodec.network.tables import survey
    from diffcodec.theory.levels import choose
    from diffcodec.theory.units import to_unit
    from diffcodec.zoo import load_network

    x0 = np.stack([to_unit(image(16, 16, i)) for i in range(4)])
    tables, pixel_bpd = survey(load_network(NETWORK, threads=1), x0, seed=0)
    rows = against_steps(tables, pixel_bpd, choose(tables, pixel_bpd, {6, 12}))
    return [tables.v, tables.mse, [list(row.values()) for row in rows]]


def denoising() -> list[Any]:
    """The errors of x0_hat at every noise level, and what they imply."""
    from diffcodec.eval.common.images import NamedImage
    from diffcodec.eval.experiments.denoising_table import measure, summarise
    from diffcodec.zoo import load_network

    found = measure(load_network(NETWORK, threads=1), 0, NamedImage("", image(16, 24)))
    about = summarise([found])
    rows = [list(row.values()) for row in about["denoising"]]
    return [rows, about["implied"]["bpp"], about["lossless"]["bpd"]]


def rates() -> list[Any]:
    """Rate and distortion of files that are cut, theory beside them, MS-SSIM."""
    from diffcodec.eval.common.images import NamedImage
    from diffcodec.eval.common.similarity import ms_ssim
    from diffcodec.eval.rd.rate_distortion import Settings, evaluate

    images = [NamedImage(f"{seed}", image(24, 24, seed)) for seed in range(2)]
    found = evaluate(codec(), images, Settings((1.5, 4.0, 9.0)))
    kept = [found["results"][key] for key in ("bpp", "psnr-rgb", "psnr-rgb-pooled")]
    kept += [[*found[part].values()] for part in ("theory", "overhead_percent", "lossless")]
    return [*kept, ms_ssim(image(176, 176), image(176, 176, 1))]


def peer(name: str) -> list[Any]:
    """Sizes of the files that one of Pillow's codecs writes."""
    from diffcodec.eval.peers import peers

    codec, pixels = peers.PEERS[name], image(48, 64)
    made = [*(codec.lossy(pixels, (700, 3000)) if codec.lossy else ())]
    made += [codec.lossless(pixels)] if codec.lossless else []
    return [file and file.point.bytes for file in made]


def sampling() -> list[Any]:
    """Samples of DDIM and DDPM, and what comes back of inverted images."""
    from diffcodec.eval.quality.samples import samples
    from diffcodec.sampling.inversion import there_and_back
    from diffcodec.sampling.method import Method
    from diffcodec.sampling.taus import spaced
    from diffcodec.theory.schedule import Schedule
    from diffcodec.theory.units import to_x0
    from diffcodec.zoo import load_network

    network, levels = (
        load_network(NETWORK, threads=1),
        spaced("quadratic", 4, Schedule.named("linear", 1000)),
    )
    methods = [Method("ddim", levels), Method("ddim", levels, 1.0), Method("ddpm", levels)]
    found: list[Any] = [samples(network, method, 16, 2, 0, "probe") for method in methods]
    x_0 = to_x0(np.stack([image(16, 16, i) for i in range(2)]))
    return [*found, there_and_back(network, x_0, levels, 2).mse]


def training() -> list[Any]:
    """In torch: what a small network makes of fixed states, and the losses of the objectives."""
    import torch

    from diffcodec.network.config import Recipe
    from diffcodec.network.kinds import build
    from diffcodec.training.objective import Objective

    y, x0 = noise(2, 3, 16, 16), torch.from_numpy(0.4 * noise(2, 3, 16, 16)[::-1].copy())
    found = []
    for objective, sigma2 in (("simple", "beta"), ("hybrid", "learned"), ("edm", "beta")):
        fields = {**RECIPE, "train": {**RECIPE["train"], "objective": objective}}
        fields["network"] = {**RECIPE["network"], "sigma2": sigma2}
        recipe = Recipe.from_dict(fields)
        model, loss = build(recipe.network), Objective(recipe, torch.device("cpu"))
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(torch.from_numpy(0.1 * noise(*weight.shape)))
            draw = loss.draw(2, torch.Generator().manual_seed(0))
            out = model(torch.from_numpy(y), draw.v)
            losses = loss.losses(x0, out, draw)
        found.append([float(out.square().mean()), losses.tolist()])
    return found


RECIPE: dict[str, Any] = {
    "name": "probe",
    "network": {"channels": 8, "multipliers": [1, 2], "blocks": 1, "attention": [8]}
    | {"norm": "group", "window": 16},
    "train": {"batch": 2, "steps": 1, "lr": 1e-3, "warmup": 0, "cooldown": 0.0, "ema": 0.0}
    | {"crop": 16},
}
PROBES: dict[str, Callable[[], list[Any]]] = {
    "files": files,
    "rates": rates,
    "bound": bound,
    "denoising": denoising,
    "archives": archives,
    "levels": levels,
    "network": network,
    "coder": coder,
    "stack": stack,
    "training": training,
    "sampling": sampling,
    **{name: partial(peer, name) for name in PEERS},
}


@cache
def digest(name: str) -> str:
    """What the probe of this name finds, in 16 hex digits."""
    found = json.dumps(_plain(PROBES[name]()), sort_keys=True)
    return hashlib.sha256(found.encode()).hexdigest()[:16]


def _plain(found: Any) -> Any:
    """For JSON: bytes and arrays of integers by their hash, floats rounded."""
    if isinstance(found, bytes):
        return hashlib.sha256(found).hexdigest()
    if isinstance(found, np.ndarray):
        return _plain(found.tolist() if found.dtype.kind == "f" else found.tobytes())
    if isinstance(found, list):
        return [_plain(one) for one in found]
    return f"{found:.{DIGITS}g}" if isinstance(found, float) else found
