"""config.json of a UNet2DModel, and the network of ours that computes the same; both ways.

What the library's defaults leave open here is refused by name: it has block types, embeddings and
layers that DDPM's network does not have.
"""

from __future__ import annotations

from typing import Any

from diffcodec.errors import CheckpointError, RecipeError
from diffcodec.network.config import Middle, NetworkConfig, Sigma2
from diffcodec.network.diffusers.fields import VERSION, Fields, shown
from diffcodec.network.diffusers.scheduler import Noise

CLASS = "UNet2DModel"
BLOCKS = 64  # of a level, at most
DEFAULTS: dict[str, Any] = {  # of the class, as diffusers 0.42 has them
    "sample_size": None,
    "in_channels": 3,
    "out_channels": 3,
    "center_input_sample": False,
    "time_embedding_type": "positional",
    "time_embedding_dim": None,
    "freq_shift": 0,
    "flip_sin_to_cos": True,
    "down_block_types": ["DownBlock2D", *["AttnDownBlock2D"] * 3],
    "mid_block_type": "UNetMidBlock2D",
    "up_block_types": [*["AttnUpBlock2D"] * 3, "UpBlock2D"],
    "block_out_channels": [224, 448, 672, 896],
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "downsample_padding": 1,
    "downsample_type": "conv",
    "upsample_type": "conv",
    "dropout": 0.0,
    "act_fn": "silu",
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "attn_norm_num_groups": None,
    "norm_eps": 1e-5,
    "resnet_time_scale_shift": "default",
    "add_attention": True,
    "class_embed_type": None,
    "num_class_embeds": None,
    "num_train_timesteps": None,
}
FIXED: dict[str, tuple[object, ...]] = {  # fields of which not all values are DDPM's
    "center_input_sample": (False,),
    "time_embedding_type": ("positional",),
    "mid_block_type": ("UNetMidBlock2D",),
    "mid_block_scale_factor": (1,),
    "downsample_padding": (0, 1),
    "downsample_type": ("conv",),
    "upsample_type": ("conv",),
    "act_fn": ("silu", "swish"),
    "resnet_time_scale_shift": ("default", "scale_shift"),
    "class_embed_type": (None,),
}
ATTENDS = {  # blocks of a level, by whether they attend
    "down": {"DownBlock2D": False, "AttnDownBlock2D": True},
    "up": {"UpBlock2D": False, "AttnUpBlock2D": True},
}


def network_config(fields: Fields, noise: Noise) -> NetworkConfig:
    """The network of ours; noise: what its scheduler says. Raises CheckpointError."""
    for name, choices in FIXED.items():
        fields.fixed(name, *choices)
    image, widths = fields.whole("in_channels"), fields.wholes("block_out_channels")
    side, attends = _side(fields), _attends(fields, len(widths))
    if image not in (1, 3):
        raise fields.refusal(
            f"has in_channels = {image}, which are no grey or RGB images: networks of latents need "
            "a decoder that is not part of the codec"
        )
    if any(width % widths[0] for width in widths):
        raise fields.refusal(
            f"has block_out_channels = {list(widths)}, of which not all are multiples of the first"
        )
    head = 0 if fields["attention_head_dim"] is None else fields.whole("attention_head_dim")
    if fields["time_embedding_dim"] is not None:
        fields.fixed("time_embedding_dim", 4 * widths[0])
    try:
        return NetworkConfig(
            channels=widths[0],
            multipliers=tuple(width // widths[0] for width in widths),
            blocks=fields.whole("layers_per_block", most=BLOCKS),
            attention=tuple(side >> i for i, attend in enumerate(attends) if attend),
            norm="group",
            window=side,
            predicts=noise.predicts,
            sigma2=_sigma2(fields, image, noise),
            betas=noise.betas,
            image_channels=image,
            groups=fields.whole("norm_num_groups"),
            eps=fields.number("norm_eps"),
            head_width=head,
            middle=_middle(fields),
            downsampling="same" if fields["downsample_padding"] == 0 else "centred",
            condition="timestep",
            freq_shift=fields.whole("freq_shift", least=0),
            scale_shift=fields["resnet_time_scale_shift"] == "scale_shift",
            classes=0 if fields["num_class_embeds"] is None else fields.whole("num_class_embeds"),
        )
    except RecipeError as error:
        raise fields.refusal(f"describes a network that does not fit together: {error}") from error


def _side(fields: Fields) -> int:
    """Of the images that the network was trained on, which its levels halve."""
    stated = fields["sample_size"]
    if isinstance(stated, list) and len(set(map(str, stated))) == 1:
        fields.values["sample_size"] = stated[0]
    elif isinstance(stated, list):
        raise fields.refusal(f"has sample_size = {shown(stated)}; only square images can be used")
    elif stated is None:
        raise fields.refusal("states no sample_size, the side of the images it was trained on")
    side, halvings = fields.whole("sample_size"), len(fields.wholes("block_out_channels")) - 1
    if side % (1 << halvings):
        raise fields.refusal(
            f"has sample_size = {side}, which its levels cannot halve {halvings} times"
        )
    return side


def _attends(fields: Fields, levels: int) -> list[bool]:
    """Whether each level attends, on its way down and on its way up alike."""
    ways = {}
    for way, known in ATTENDS.items():
        name = f"{way}_block_types"
        blocks = [block.removeprefix("UNetRes") for block in fields.words(name)]
        for block in blocks:
            if block not in known:
                raise fields.refusal(
                    f'has "{block}" in {name}; only {" and ".join(known)} can be used here'
                )
        if len(blocks) != levels:
            raise fields.refusal(f"has {len(blocks)} {name} for {levels} block_out_channels")
        ways[way] = [known[block] for block in blocks]
    if ways["down"] != ways["up"][::-1]:
        raise fields.refusal("attends at other levels in down_block_types than in up_block_types")
    return ways["down"]


def _middle(fields: Fields) -> Middle:
    """What stands between the two blocks at the lowest resolution."""
    if not fields.flag("add_attention"):
        return "none"
    groups, usual = fields["attn_norm_num_groups"], fields.whole("norm_num_groups")
    if groups is None:
        bare = fields["resnet_time_scale_shift"] == "scale_shift"
        return "bare_attention" if bare else "attention"
    fields.fixed("attn_norm_num_groups", usual)
    return "attention"


def _sigma2(fields: Fields, image: int, noise: Noise) -> Sigma2:
    """Of p_theta: what the scheduler says, unless the network has channels for it."""
    out, stated = fields.whole("out_channels"), noise.sigma2
    if out == 2 * image and stated in ("learned", None):
        return "learned"
    if out == image and stated != "learned":
        return stated or "beta_tilde"
    wanted = 2 * image if stated == "learned" else image
    raise fields.refusal(f"has out_channels = {out}; with its scheduler {wanted} fit")


# --- the way back ---


def unet_fields(config: NetworkConfig, dropout: float) -> dict[str, Any]:
    """config.json of a network of ours; raises CheckpointError naming the field without a place."""
    wanted: dict[str, object] = {"kind": "unet", "norm": "group", "patch": 1, "fourier": ()}
    wanted |= {"skips": "concat", "activation": "silu", "condition": "timestep"}
    for name, value in wanted.items():
        if getattr(config, name) != value:
            raise _homeless(name, getattr(config, name), shown(value))
    widths = [config.channels * multiplier for multiplier in config.multipliers]
    if not config.groups and config.channels % 8:
        raise _homeless("groups", 0, "a number for all layers")
    between = _between(config)
    sides = [config.window >> i for i in range(len(widths))]
    attends = [side in config.attention for side in sides]
    learned = config.sigma2 == "learned"
    return {
        "_class_name": CLASS,
        "_diffusers_version": VERSION,
        **DEFAULTS,
        "sample_size": config.window,
        "in_channels": config.image_channels,
        "out_channels": config.image_channels * (2 if learned else 1),
        "freq_shift": config.freq_shift,
        "flip_sin_to_cos": False,
        "down_block_types": [_block("down", attend) for attend in attends],
        "up_block_types": [_block("up", attend) for attend in attends[::-1]],
        "block_out_channels": widths,
        "layers_per_block": config.blocks,
        "downsample_padding": 0 if config.downsampling == "same" else 1,
        "dropout": dropout,
        "attention_head_dim": config.head_width or None,
        "norm_num_groups": config.groups or 8,
        "norm_eps": config.eps,
        "resnet_time_scale_shift": "scale_shift" if config.scale_shift else "default",
        "num_class_embeds": config.classes or None,
        **between,
    }


def _between(config: NetworkConfig) -> dict[str, Any]:
    """The fields about what stands in the middle."""
    lowest = config.window >> (len(config.multipliers) - 1)
    if config.middle == "none" or (config.middle == "level" and lowest not in config.attention):
        return {"add_attention": False}
    if config.middle == "level" or (config.middle == "bare_attention" and not config.scale_shift):
        raise _homeless("middle", config.middle, '"attention" or "none"')
    normed = config.middle == "attention" and config.scale_shift
    return {"attn_norm_num_groups": (config.groups or 8) if normed else None}


def _block(way: str, attend: bool) -> str:
    return next(name for name, known in ATTENDS[way].items() if known is attend)


def _homeless(name: str, found: object, wanted: str) -> CheckpointError:
    return CheckpointError(
        f"{CLASS} has no place for network.{name} = {shown(found)}: it needs {wanted}"
    )
