"""What the documents promise: numbers from the results, commands that exist, cards that fit."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from diffcodec.api import list_models
from diffcodec.bitstream.container import Header, parse_header
from diffcodec.bitstream.payload import CRC, LAYER
from diffcodec.bitstream.pixels import CHUNK
from diffcodec.bitstream.plan import FEWEST_BITS
from diffcodec.bitstream.sample_format import RGB8
from diffcodec.bitstream.trellis import Trellis
from diffcodec.codec import Codec
from diffcodec.eval.publish.readme import RESULTS, TABLES, render
from diffcodec.eval.publish.ship import SPLIT
from diffcodec.eval.publish.state import Place
from diffcodec.eval.publish.state import load as load_state
from diffcodec.exact.attention import EXP2, ONE, Attention
from diffcodec.exact.attention import FRACTION as LOGITS
from diffcodec.exact.bytewise.graph import (
    ACTIVATIONS,
    HARD_SWISH_FRACTION,
    PAIR,
    ByteGraph,
    ByteLayer,
)
from diffcodec.exact.bytewise.proof import MOST_SHIFT
from diffcodec.exact.graph import Graph, Layer
from diffcodec.exact.integers import INPUT_FRACTION, WEIGHTS
from diffcodec.exact.integers import KEY as EXACT
from diffcodec.exact.normalisation import SQUARE, Norm
from diffcodec.network.config import Recipe
from diffcodec.network.grey import GREY_SEED
from diffcodec.zoo import load_graph, model_card, shipped_networks

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASURED = (ROOT / "eval" / "RESULTS.md").read_text(encoding="utf-8")
NETWORK = (ROOT / "bitstream" / "FORMAT-network.md").read_text(encoding="utf-8")
FORMAT = (ROOT / "bitstream" / "FORMAT.md").read_text(encoding="utf-8")
LINKING = ["README.md", "TRAINING.md", "RELEASE.md", "docs/papers.md", "docs/sampling.md"]
LINKING += ["eval/RESULTS.md"]
NAMES = [name for name, _ in shipped_networks()]


def test_documents_and_results_agree() -> None:
    names = re.findall(r"<!-- ([a-z0-9-]+) -->\n", README + MEASURED)
    assert sorted(set(names) - {"end"}) == sorted(name for name in names if name != "end")
    assert set(names) == set(TABLES) | {"end"}
    assert render(README) == README and render(MEASURED) == MEASURED


@pytest.mark.parametrize("document", LINKING)
def test_what_documents_link_to_is_there(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\(([^)#]*)(#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert links
    for link, heading in links:
        if link.startswith("https://"):  # of papers and programs, which tests cannot visit
            continue
        target = path.parent / link if link else path
        assert target.exists(), link
        if heading:
            titles = re.findall("^#+ (.*)", target.read_text(encoding="utf-8"), re.M)
            assert heading[1:] in [title.lower().replace(" ", "-") for title in titles], heading


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_the_readme_says_in_words_what_was_measured() -> None:
    words = " ".join(README.split())
    kodak = cells(README, "kodak, 24")
    less, alone = (
        [
            round(100 * (1 - float(row[n]) / float(row[3])))
            for row in (kodak, cells(README, "gb82, 25"))
        ]
        for n in (1, 2)
    )
    assert f"{less[0]} % less than JPEG XL's files (gb82's {less[1]} %)" in words
    assert f"{alone[0]} % less without steps ({alone[1]} %; `--switch none`)" in words
    encode, decode = (float(cell.split()[0]) for cell in kodak[7:9])
    assert f"takes {encode:.0f} seconds to encode and {decode:.0f} to decode" in words
    assert -55 < float(cells(MEASURED, "JPEG")[1].split()[0]) < -45 and "half the bits" in words
    for name in ("JPEG 2000", "AVIF"):
        assert -30 < float(cells(MEASURED, name)[1].split()[0]) < -20 and "three quarters" in words
    sizes = ("1224x816", "2450x1633", "6000x4000")
    one, four, many = (float(cells(MEASURED, size)[3].split()[0]) for size in sizes)
    assert f"{one:.1f} GiB for one megapixel, {four:.1f} for four, {many:.1f} for 24" in words


def cells(document: str, row: str) -> list[str]:
    """The cells of the first table row of a document that is called so."""
    found = re.search(rf"^\| {row} \|.*\|$", document, re.M)
    assert found is not None, row
    return [cell.strip(" *") for cell in found[0].strip("|").split("|")]


def test_the_format_states_the_codes_constants() -> None:
    assert f"at least {LAYER} bytes" in FORMAT and f"blocks of {CHUNK:,} sub-pixels" in FORMAT
    small = Header(32, 32, RGB8, bytes(8), Trellis(14), "own", 50, 0, 1700).pack()
    assert parse_header(small)[1] == 22 == int(re.findall(r"(\d+) bytes for a 32x32", FORMAT)[0])
    assert CRC == 4 and f"fewer than {FEWEST_BITS} path bits" in FORMAT


def test_the_network_format_states_the_codes_constants() -> None:
    assert f"`{EXACT}`" in NETWORK and f"seed {GREY_SEED:x}h" in NETWORK
    assert f"(c_in y) {1 << INPUT_FRACTION}" in NETWORK
    assert f"rint({1 << WEIGHTS} share)" in NETWORK
    assert (
        f"`version` | {ByteGraph.VERSION} or {Graph.WINDOWS};" in NETWORK
        and f"2^({HARD_SWISH_FRACTION} - f)" in NETWORK
    )
    assert f"| <= {PAIR}\n" in NETWORK and f"at most {HARD_SWISH_FRACTION} if" in NETWORK
    assert f"uint8 (c_out) | at most {MOST_SHIFT} |" in NETWORK
    for name in ACTIVATIONS:
        assert f'"{name}"' in NETWORK, name
    assert f"int16 ({EXP2})" in NETWORK and f"2^-(d / {1 << LOGITS})" in NETWORK
    assert f"2^{SQUARE} (T + eps)" in NETWORK and f"{ONE} window^2" in NETWORK
    parts = NETWORK.split("\n## ")
    windows = (1, 2, 3), (Graph, Layer, Norm, Attention)
    kinds = windows, ((1, 2), (Graph,)), ((1, 4), (ByteGraph, ByteLayer))
    for sections, classes in kinds:
        text = "".join(parts[section] for section in sections)
        fields = {f.name for kind in classes for f in dataclasses.fields(kind)}
        for field in fields - {"tensors"}:
            assert f"`{field}`" in text, field


def test_these_networks_ship() -> None:
    assert NAMES == ["cifar10", "photo", "photo-large"]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_network_has_everything(name: str) -> None:
    (model,) = (m for m in list_models() if m["name"] == name)
    assert model["bytes"] <= 16 * 10**6
    recipe = Recipe.from_dict(load_graph(name).facts["recipe"])
    assert Recipe.load(ROOT / "recipes" / f"{name}.toml") == recipe
    beside = (ROOT / "diffcodec" / "zoo" / f"{name}.toml").read_bytes()
    assert beside == (ROOT / "recipes" / f"{name}.toml").read_bytes()
    measured = json.loads((RESULTS / f"nelbo-{name}.json").read_text(encoding="utf-8"))
    assert measured["model"]["fingerprint"] == model["fingerprint"]
    for key in SPLIT:
        assert model["nelbo"][key] == measured["nelbo"][key]
    card = model_card(name)
    assert card is not None and model["fingerprint"] in card
    assert f"{measured['nelbo']['bpd']:.3f}" in card and "licence" in card
    assert Codec.from_pretrained(name).tables.chains.keys() >= {"25", "50"}


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda p: p.stem)
def test_results_name_their_command_and_machine_and_no_folder_of_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    result = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert result["command"].startswith(("python -m diffcodec", "diffcodec "))
    assert result["environment"]["cpu"] and result["environment"]["cpus"]
    assert not re.search(r'"[^"]*(/home|/work|/tmp|/root)', text)
    model = result.get("model", {})
    if isinstance(model, dict) and (name := model.get("name")):
        shipped = load_graph(name).fingerprint.hex()
        record = load_state(Place()).get(path.name)
        # Of an earlier network only what is known to be, and then the documents say so.
        assert result["model"]["fingerprint"] == shipped or (record and record.older)
