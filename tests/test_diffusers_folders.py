"""Folders of diffusers as they come: layouts, types of numbers, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from diffcodec.errors import CheckpointError
from diffcodec.network.checkpoint import Checkpoint
from diffcodec.network.diffusers import load_folder
from tests.diffusers_folders import diffusers, model, pipeline

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline(tmp_path_factory.mktemp("diffusers") / "tiny", model())


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy, to spoil."""
    return Path(shutil.copytree(original, tmp_path / "tiny"))


def same(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether two networks are the same, whatever they are called."""
    return one.fingerprint == other.fingerprint


def edit(path: Path, **fields: Any) -> None:
    """Other fields in a JSON file; None as a Python object deletes nothing, it is null."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_a_description_without_end_is_not_read(folder: Path) -> None:
    with open(folder / "unet" / "config.json", "r+b") as file:
        file.truncate((1 << 24) + 1)
    with pytest.raises(CheckpointError, match=r"config\.json is too large to describe a network"):
        load_folder(folder)


# --- layouts ---


def test_a_network_alone_and_one_beside_its_scheduler(folder: Path, original: Path) -> None:
    assert same(load_folder(folder / "unet"), load_folder(original))
    edit(folder / "scheduler/scheduler_config.json", beta_schedule="squaredcos_cap_v2")
    flat = folder.parent / "flat"  # as the first pipelines were
    shutil.copytree(folder / "unet", flat)
    for file in (folder / "scheduler/scheduler_config.json", folder / "model_index.json"):
        shutil.copy(file, flat)
    assert load_folder(flat).recipe.network.betas == "cosine"
    assert same(load_folder(flat), load_folder(folder))


@pytest.mark.parametrize("kind", ["DDIMScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler"])
def test_schedulers_of_the_same_betas(kind: str, folder: Path, original: Path) -> None:
    made = getattr(diffusers, kind).from_config(diffusers.DDPMScheduler().config)
    made.save_pretrained(folder / "scheduler")
    assert same(load_folder(folder), load_folder(original))


def test_a_scheduler_without_a_variance_leaves_it_to_the_network(tmp_path: Path) -> None:
    network = model(out_channels=6)
    made = diffusers.DDIMPipeline(network, diffusers.DDIMScheduler())
    made.save_pretrained(tmp_path / "f")
    assert load_folder(tmp_path / "f").recipe.network.sigma2 == "learned"


def test_an_old_scheduler_that_predicts_the_image(folder: Path) -> None:
    path = folder / "scheduler/scheduler_config.json"
    found = json.loads(path.read_text())
    del found["prediction_type"]
    path.write_text(json.dumps({**found, "predict_epsilon": False}))
    assert load_folder(folder).recipe.network.predicts == "x0"


def test_weights_in_several_files(folder: Path, original: Path) -> None:
    network = diffusers.UNet2DModel.from_pretrained(original / "unet")
    shutil.rmtree(folder / "unet")
    network.save_pretrained(folder / "unet", max_shard_size="50KB")
    assert len(list((folder / "unet").glob("*.safetensors"))) > 2
    assert same(load_folder(folder), load_folder(original))
    next((folder / "unet").glob("*-00002-*")).unlink()
    with pytest.raises(CheckpointError, match=r"there is no .*00002.*: download the folder again"):
        load_folder(folder)


def test_names_of_attention_before_they_were_changed(folder: Path, original: Path) -> None:
    new = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    path, renamed = folder / WEIGHTS, {}
    for name, weight in load_file(path).items():
        for today, old in new.items():
            name = name.replace(f".{today}.", f".{old}.")
        renamed[name] = weight
    assert any("query" in name for name in renamed)
    save_file(renamed, path)
    assert same(load_folder(folder), load_folder(original))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(kind: torch.dtype, folder: Path) -> None:
    path = folder / WEIGHTS
    rounded = {name: weight.to(kind) for name, weight in load_file(path).items()}
    save_file({name: weight.float() for name, weight in rounded.items()}, path)
    wanted = load_folder(folder)
    save_file(rounded, path)
    found = load_folder(folder)
    assert same(found, wanted) and all(w.dtype == np.float32 for w in found.weights.values())
    path.rename(path.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert same(load_folder(folder), wanted)


# --- what is refused ---

Spoil = Callable[[Path], object]


def unet(**fields: Any) -> Spoil:
    return lambda folder: edit(folder / "unet/config.json", **fields)


def scheduler(**fields: Any) -> Spoil:
    return lambda folder: edit(folder / "scheduler/scheduler_config.json", **fields)


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        found = load_file(folder / WEIGHTS)
        change(found)
        save_file(found, folder / WEIGHTS)

    return spoil


def cut(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "unet/diffusion_pytorch_model.bin")


def pointer(folder: Path) -> None:
    (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


def text(place: str, content: str) -> Spoil:
    return lambda folder: (folder / place).write_text(content)


CONFIG, NOISE, INDEX = "unet/config.json", "scheduler/scheduler_config.json", "model_index.json"
BLOCKS = ["DownBlock2D", "AttnSkipDownBlock2D"]
LATENT = {"vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"]}
REFUSED: dict[str, tuple[Spoil, str]] = {
    "no config": (lambda f: (f / CONFIG).unlink(), "has no config.json"),
    "half a config": (text(CONFIG, '{"in_channels": '), "is no JSON, or half of it"),
    "a list": (text(CONFIG, "[1]"), "holds no JSON object"),
    "another's config": (text(CONFIG, '{"model_type": "bert"}'), "no block_out_channels"),
    "no scheduler": (lambda f: (f / NOISE).unlink(), "lacks its scheduler_config.json"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "lacks diffusion_pytorch_model.safetensors"),
    "half the weights": (cut, "damaged or half of a download"),
    "a pickle": (pickled, "is a pickle, which can run what it likes"),
    "a pointer": (pointer, "git lfs pull"),
    "latents": (lambda f: edit(f / INDEX, **LATENT), "needs its vae beside its network"),
    "no unet": (lambda f: edit(f / INDEX, unet=[None, None]), "names no unet"),
    "text": (unet(_class_name="UNet2DConditionModel"), '"UNet2DConditionModel"; only UNet2DModel'),
    "four channels": (unet(in_channels=4, out_channels=4), "in_channels = 4"),
    "blocks": (unet(down_block_types=BLOCKS), '"AttnSkipDownBlock2D" in down_block_types'),
    "few blocks": (unet(down_block_types=BLOCKS[:1]), "1 down_block_types for 2"),
    "other blocks up": (unet(up_block_types=["UpBlock2D"] * 2), "attends at other levels"),
    "activation": (unet(act_fn="gelu"), 'act_fn = "gelu"; only "silu"'),
    "embedding": (unet(time_embedding_type="fourier"), 'time_embedding_type = "fourier"'),
    "spatial": (unet(resnet_time_scale_shift="spatial"), 'resnet_time_scale_shift = "spatial"'),
    "resnet": (unet(downsample_type="resnet"), 'downsample_type = "resnet"'),
    "no middle": (unet(mid_block_type=None), "mid_block_type = null"),
    "classes": (unet(class_embed_type="timestep"), 'class_embed_type = "timestep"'),
    "centred": (unet(center_input_sample=True), "center_input_sample = true"),
    "unknown": (unet(dual_norm=2), 'has a field "dual_norm"'),
    "no side": (unet(sample_size=None), "states no sample_size"),
    "odd side": (unet(sample_size=15), "sample_size = 15, which its levels cannot halve"),
    "two sides": (unet(sample_size=[16, 32]), "only square images"),
    "a wide list": (unet(block_out_channels=[16, 24]), "not all are multiples of the first"),
    "words": (unet(block_out_channels="16"), 'block_out_channels = "16", which is no list'),
    "a fraction": (unet(layers_per_block=1.5), "layers_per_block = 1.5, not a whole number"),
    "many": (unet(layers_per_block=65), "layers_per_block = 65, not a whole number from 1 to 64"),
    "no number": (unet(dropout=float("nan")), "dropout = NaN, which is no number"),
    "classes of nobody": (unet(num_class_embeds=9), "lack class_embedding.weight"),
    "true": (unet(layers_per_block=True), "layers_per_block = true, not a whole number"),
    "groups": (unet(norm_num_groups=5), "does not fit together: network.groups 5"),
    "out": (unet(out_channels=6), "out_channels = 6; with its scheduler 3 fit"),
    "range": (scheduler(variance_type="learned_range"), "out_channels = 3; with its scheduler 6"),
    "learned": (scheduler(variance_type="learned"), 'variance_type = "learned"; only'),
    "flow": (scheduler(prediction_type="flow_prediction"), 'prediction_type = "flow_prediction"'),
    "betas": (scheduler(beta_schedule="laplace"), 'beta_schedule = "laplace"; only "linear"'),
    "ends": (scheduler(beta_end=0.012), "beta_end = 0.012; only 0.02"),
    "a list of betas": (scheduler(trained_betas=[0.1, 0.2]), "trained_betas = [0.1, 0.2]"),
    "length": (scheduler(num_train_timesteps=4000), "num_train_timesteps = 4000"),
    "zero": (scheduler(rescale_betas_zero_snr=True), "rescale_betas_zero_snr = true"),
    "ve": (scheduler(_class_name="ScoreSdeVeScheduler"), "knows no chain of betas as DDPM's"),
    "karras": (scheduler(_class_name="KarrasVeScheduler"), "knows no chain of betas as DDPM's"),
    "lost": (weights(lambda w: w.pop("conv_in.bias")), "lack conv_in.bias"),
    "more": (weights(lambda w: w.update(x=torch.ones(1))), "have x, of which config.json"),
    "bytes": (
        weights(lambda w: w.update({"conv_in.bias": w["conv_in.bias"].to(torch.int8)})),
        "conv_in.bias as I8, not as floats",
    ),
    "nan": (weights(lambda w: w["conv_in.bias"].fill_(torch.nan)), "not finite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_sentence(name: str, folder: Path) -> None:
    spoil, words = REFUSED[name]
    spoil(folder)
    with pytest.raises(CheckpointError, match=re.escape(words)) as refusal:
        load_folder(folder)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400


def test_weights_of_another_size_are_refused(folder: Path) -> None:
    edit(folder / CONFIG, block_out_channels=[32, 64])
    with pytest.raises(CheckpointError, match=r"do not fit its config\.json, as"):
        load_folder(folder)


@pytest.mark.parametrize("place", ["nowhere", "empty"])
def test_a_folder_that_is_none(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"no folder|has no config\.json"):
        load_folder(tmp_path / place)


def test_an_index_reads_no_files_elsewhere(folder: Path) -> None:
    index = folder / f"{WEIGHTS}.index.json"
    (folder / WEIGHTS).rename(folder / "elsewhere.safetensors")
    index.write_text(json.dumps({"weight_map": {"conv_in.bias": "../elsewhere.safetensors"}}))
    with pytest.raises(CheckpointError, match="lists no files of weights"):
        load_folder(folder)
