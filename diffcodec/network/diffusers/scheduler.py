"""scheduler_config.json: which noise a network was trained with, and what its output means.

A sampler's own settings are of no use to the codec, which has its own steps: of all schedulers that
know DDPM's betas only those, and the meaning of the output, are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffcodec.errors import CheckpointError
from diffcodec.network.config import Betas, NetworkConfig, Predicts, Sigma2
from diffcodec.network.diffusers.fields import VERSION, Fields, read_object, shown
from diffcodec.theory.schedule import BETA_END, BETA_START

DDPM = "DDPMScheduler"
CLASSES = (  # of chains of the same betas: x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps
    DDPM,
    "DDPMParallelScheduler",
    "DDIMScheduler",
    "DDIMParallelScheduler",
    "DDIMInverseScheduler",
    "PNDMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverMultistepInverseScheduler",
    "DPMSolverSinglestepScheduler",
    "UniPCMultistepScheduler",
)
PREDICTS: dict[str, Predicts] = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}
BETAS: dict[str, Betas] = {
    "linear": "linear",
    "scaled_linear": "quadratic",
    "squaredcos_cap_v2": "cosine",
    "sigmoid": "sigmoid",
}
SIGMA2: dict[str, Sigma2] = {
    "fixed_small": "beta_tilde",
    "fixed_large": "beta",
    "learned_range": "learned",
}
LOG = "_log"  # at the end of a fixed variance's name: the same one, computed by its logarithm
ZERO_SNR = ("rescale_betas_zero_snr", "use_flow_sigmas")  # which make other chains of them


@dataclass(frozen=True)
class Noise:
    """What a scheduler says; sigma2: None where it is silent."""

    predicts: Predicts
    betas: Betas
    sigma2: Sigma2 | None


def read_noise(path: Path | None) -> Noise:
    """What a scheduler's file says; None: DDPMScheduler's defaults. Raises CheckpointError."""
    if path is None:
        return Noise("eps", "linear", None)
    found = read_object(path)
    kind = found.get("_class_name", DDPM)
    if kind not in CLASSES:
        raise CheckpointError(
            f"{path} is of {shown(kind)}, which knows no chain of betas as DDPM's; networks with "
            f"one of {', '.join(CLASSES[:3])} and their like can be used"
        )
    fields = Fields(path, found, _defaults(found))
    for name in ZERO_SNR:
        fields.fixed(name, False)
    _check_betas(fields)
    return Noise(
        PREDICTS[fields.choice("prediction_type", PREDICTS)],
        BETAS[fields.choice("beta_schedule", BETAS)],
        _sigma2(fields, kind),
    )


def _defaults(found: Mapping[str, Any]) -> dict[str, Any]:
    """Of the fields that are read; an old file says predict_epsilon instead of prediction_type."""
    old = found.get("predict_epsilon", True)
    return {
        "num_train_timesteps": 1000,
        "beta_start": BETA_START,
        "beta_end": BETA_END,
        "beta_schedule": "linear",
        "trained_betas": None,
        "prediction_type": "sample" if old is False else "epsilon",
        "variance_type": "fixed_small",
        **dict.fromkeys(ZERO_SNR, False),
    }


def _check_betas(fields: Fields) -> None:
    """Raises CheckpointError for betas of another number, or between other ends, than DDPM's."""
    fields.fixed("trained_betas", None)
    fields.fixed("num_train_timesteps", 1000)
    if fields["beta_schedule"] != "squaredcos_cap_v2":  # which is not asked for its ends
        fields.fixed("beta_start", BETA_START)
        fields.fixed("beta_end", BETA_END)


def _sigma2(fields: Fields, kind: str) -> Sigma2 | None:
    """Only DDPM's own schedulers have one; the others sample with another, or with none."""
    if "variance_type" not in fields.stated or not kind.startswith("DDPM"):
        return None
    stated = fields["variance_type"]
    if isinstance(stated, str) and stated.startswith("fixed"):
        fields.values["variance_type"] = stated.removesuffix(LOG)
    return SIGMA2[fields.choice("variance_type", SIGMA2)]


# --- the way back ---


def scheduler_fields(config: NetworkConfig) -> dict[str, Any]:
    """scheduler_config.json of a network of ours; raises CheckpointError for what it predicts."""
    meanings = {predicts: name for name, predicts in PREDICTS.items()}
    if config.predicts not in meanings:
        raise CheckpointError(
            f"{DDPM} has no place for network.predicts = {shown(config.predicts)}: it needs "
            f"{', '.join(map(shown, meanings))}"
        )
    return {
        "_class_name": DDPM,
        "_diffusers_version": VERSION,
        "num_train_timesteps": 1000,
        "beta_start": BETA_START,
        "beta_end": BETA_END,
        "beta_schedule": next(name for name, betas in BETAS.items() if betas == config.betas),
        "trained_betas": None,
        "prediction_type": meanings[config.predicts],
        "variance_type": next(name for name, s in SIGMA2.items() if s == config.sigma2),
        "clip_sample": True,
    }
