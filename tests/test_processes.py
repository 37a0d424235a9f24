"""One codec in many threads and processes: forked, spawned, sent there, copied."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from diffcodec import CheckpointError, Codec
from diffcodec.bitstream.types import Pixels
from diffcodec.exact import compiled
from diffcodec.exact.bytewise import compiled as bytewise
from diffcodec.exact.denoiser import ExactDenoiser
from diffcodec.exact.memory import HUGE, zeroed
from diffcodec.zoo import portable
from tests.exact_network import build
from tests.random_bytes import random_bytes
from tests.synthetic import synthetic_image

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
IMAGES = [synthetic_image(16, 24, 3, seed=1), synthetic_image(24, 16, 1, seed=2)]


def in_a_fork(function: Callable[..., Any], *arguments: Any, seconds: float = 60) -> Any:
    """What a forked child makes of it; fails where the child does not answer."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=lambda: theirs.send(function(*arguments)))
    child.start()
    try:
        assert ours.poll(seconds), "the child hangs"
        return ours.recv()
    finally:
        child.kill()
        child.join()


@pytest.fixture
def rows_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads share out the rows of the smallest image."""
    for module in (compiled, bytewise):
        monkeypatch.setattr(module, "SMALL", 0)
        monkeypatch.setattr(module, "WORTHWHILE", 0)


@pytest.fixture
def shipped(tiny_network: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a network that counts as a shipped one."""
    for module in ("diffcodec.zoo", "diffcodec.zoo.portable"):
        monkeypatch.setattr(f"{module}.shipped_networks", lambda: iter([("tiny", tiny_network)]))
    return "tiny"


@forks
@pytest.mark.usefixtures("rows_are_shared", "steps_pay")
def test_a_forked_child_uses_the_codec_that_it_inherits(tiny_network: Path) -> None:
    codec = Codec.from_pretrained(tiny_network, threads=2)
    files = [codec.encode(pixels) for pixels in IMAGES]
    assert in_a_fork(lambda: [codec.encode(pixels) for pixels in IMAGES]) == files
    shown = in_a_fork(lambda: [codec.decode(data).pixels for data in files])
    assert all(np.array_equal(*pair) for pair in zip(shown, IMAGES, strict=True))
    assert codec.encode(IMAGES[0]) == files[0]  # and the parent goes on


@forks
@pytest.mark.usefixtures("rows_are_shared")
def test_a_loader_of_data_uses_the_codec_that_it_inherits(tiny_network: Path) -> None:
    from torch.utils.data import DataLoader

    codec = Codec.from_pretrained(tiny_network, threads=2)
    files = [codec.encode(pixels) for pixels in IMAGES]

    class Coded:
        def __len__(self) -> int:
            return len(IMAGES)

        def __getitem__(self, i: int) -> bytes:
            return codec.encode(IMAGES[i])

    loader: DataLoader[bytes] = DataLoader(
        Coded(),  # type: ignore[arg-type]
        batch_size=None,
        num_workers=2,
        multiprocessing_context="fork",
        timeout=60,
    )
    assert list(loader) == files


@forks
@pytest.mark.usefixtures("rows_are_shared")
@pytest.mark.parametrize("backend", ["compiled", "numpy", "torch8", "torch64", "torch32"])
def test_every_backend_survives_a_fork(backend: str) -> None:
    if backend == "compiled" and compiled.KERNEL is None:
        pytest.skip("the kernel is not built")
    graph = random_bytes(1, patch=1) if backend == "torch8" else build("unit")
    y = np.random.default_rng(0).standard_normal((3, 96, 96)).astype(np.float32)
    denoiser = ExactDenoiser(graph, threads=2, backend=backend)
    expected = denoiser(y, 0.1)
    assert np.array_equal(in_a_fork(denoiser, y, 0.1), expected)


@forks
def test_a_forked_child_leaves_the_gpu_to_its_parent() -> None:
    denoiser = ExactDenoiser(build("unit"), threads=1)
    y = np.random.default_rng(0).standard_normal((3, 8, 8)).astype(np.float32)
    expected, right = denoiser(y, 0.1), denoiser.evaluate

    class OnGpu:
        device = SimpleNamespace(type="cuda")
        parent = os.getpid()

        def __call__(self, *arguments: Any) -> Any:
            assert os.getpid() == self.parent
            return right(*arguments)

    denoiser.evaluate = OnGpu()  # type: ignore[assignment]
    assert np.array_equal(denoiser(y, 0.1), expected)
    assert np.array_equal(in_a_fork(denoiser, y, 0.1), expected)
    assert isinstance(denoiser.evaluate, OnGpu)


@forks
def test_memory_is_not_shared_with_a_child() -> None:
    memory = zeroed(HUGE)

    def write() -> int:
        memory[:] = 1
        return int(memory.sum())

    assert in_a_fork(write) == HUGE
    assert not memory.any()


@pytest.mark.usefixtures("steps_pay")
def test_threads_share_a_codec(tiny_network: Path) -> None:
    codec = Codec.from_pretrained(tiny_network, threads=2)
    images = IMAGES * 6
    expected = [codec.encode(pixels) for pixels in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(codec.encode, images)) == expected
        shown = pool.map(lambda data: codec.decode(data).pixels, expected)
        assert all(np.array_equal(*pair) for pair in zip(shown, images, strict=True))


def test_images_of_other_sizes_meanwhile_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread with an image of another size comes in the middle of one."""
    if not bytewise.instruction_sets():
        pytest.skip("the kernel is not built")
    denoiser = ExactDenoiser(random_bytes(1, patch=1), threads=1, backend="compiled")
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal((3, *side)).astype(np.float32) for side in ((8, 24), (16, 8)))
    expected = denoiser(one, 0.1), denoiser(other, 0.1)
    run = bytewise._Workspace.__call__
    meanwhile: list[Any] = []

    def interrupted(workspace: bytewise._Workspace, *arguments: Any) -> None:
        if not meanwhile:
            meanwhile.append(None)
            meanwhile[0] = denoiser(other, 0.1)
        run(workspace, *arguments)

    monkeypatch.setattr(bytewise._Workspace, "__call__", interrupted)
    assert np.array_equal(denoiser(one, 0.1), expected[0])
    assert np.array_equal(meanwhile[0], expected[1])
    assert np.array_equal(denoiser(other, 0.1), expected[1])


def encoded(codec: Codec, pixels: Pixels) -> bytes:
    return codec.encode(pixels)


def test_a_spawned_child_is_sent_a_codec(tiny_network: Path) -> None:
    codec = Codec.from_pretrained(tiny_network)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        assert len(pickle.dumps(codec)) > tiny_network.stat().st_size // 2  # its integers
        data = pool.submit(encoded, codec, IMAGES[0]).result(timeout=120)
        again = pool.submit(encoded, Codec.from_pretrained("cifar10", 1), IMAGES[0])
        assert np.array_equal(codec.decode(data).pixels, IMAGES[0])
        assert again.result(timeout=120) == Codec.from_pretrained("cifar10", 1).encode(IMAGES[0])


def test_a_shipped_network_is_sent_by_name_and_read_once(tiny_network: Path, shipped: str) -> None:
    codec = Codec.from_pretrained(tiny_network, 3, backend="numpy")
    sent = pickle.dumps(codec)
    assert len(sent) < 8000
    one, two = pickle.loads(sent), pickle.loads(sent)
    assert one is not two and one.denoiser is two.denoiser is not codec.denoiser
    assert (one.workers, one.name, one.fingerprint) == (3, codec.name, codec.fingerprint)
    assert one.denoiser.given == (3, "numpy")
    assert one.encode(IMAGES[0]) == codec.encode(IMAGES[0])


def test_another_machine_uses_its_own_cores(
    tiny_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = pickle.dumps(Codec.from_pretrained(tiny_network))
    monkeypatch.setattr("diffcodec.exact.denoiser.usable_cores", lambda: 5)
    codec = pickle.loads(sent)
    assert codec.workers == codec.denoiser.threads == 5


def test_another_network_of_that_name_is_refused(tiny_network: Path, shipped: str) -> None:
    sent = portable.ByName(shipped, "00" * 8, 1, None)
    with pytest.raises(CheckpointError, match="install the same diffcodec on both"):
        portable.opened(sent)


def test_copies_share_the_network(tiny_codec: Codec) -> None:
    for made in (copy.copy(tiny_codec), copy.deepcopy(tiny_codec)):
        assert made is not tiny_codec and made.denoiser is tiny_codec.denoiser
        assert made.workers == tiny_codec.workers and made.tables is tiny_codec.tables
        assert made.encode(IMAGES[0]) == tiny_codec.encode(IMAGES[0])


def test_a_codec_of_something_else_is_copied_and_pickled(tiny_codec: Codec) -> None:
    codec = Codec(Flat([0.25]), tiny_codec.tables, workers=2)
    made = copy.deepcopy(codec)
    assert made.denoiser is not codec.denoiser and copy.copy(codec).denoiser is codec.denoiser
    sent = pickle.loads(pickle.dumps(codec))
    assert sent.workers == 2 and sent.denoiser.value == [0.25] and sent.name == "custom"
    assert sent.encode(IMAGES[0]) == codec.encode(IMAGES[0])


class Flat:
    """A denoiser that sees one colour."""

    def __init__(self, value: list[float]) -> None:
        self.value = value

    def __call__(self, y: Any, v: float) -> Any:
        return np.full_like(y, self.value[0])


def test_what_is_decoded_can_be_sent(tiny_codec: Codec) -> None:
    decoded = tiny_codec.decode(tiny_codec.encode(IMAGES[0]))
    sent = pickle.loads(pickle.dumps(decoded))
    assert np.array_equal(sent.pixels, decoded.pixels) and sent.header == decoded.header
