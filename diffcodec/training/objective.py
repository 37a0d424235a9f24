"""What training minimises: which noise levels a step draws, and the loss of each image.

With D = |x0 - x0_hat|^2, the mean over the sub-pixels:
- simple: t uniform, the error of what the network predicts (DDPM eq. 14, L_simple):
  |eps - eps_hat|^2 = D / v, of the preconditioned network too; where it is x0, v or mu, the error
  of that: |x0 - x0_hat|^2 = D, |v - v_hat|^2 = D (1 + 1/v) (Salimans and Ho 2022, "SNR + 1"),
  |mu - mu_hat|^2;
- nelbo: t uniform, T L_{t-1} in bits/dim, L_0 by the discretized decoder: its mean is the bound L
  (eq. 5) but for the constant L_T;
- hybrid: L_simple + 0.001 L (improved DDPM, eq. 16), where L's gradient flows through the learned
  variance only. That is for eps: where D weighs w(v) instead of 1 / v, L weighs 0.001 v w(v), so
  that at every t both keep their ratio. mu's own error is tiny where there is little noise, and
  L, in units of sigma_t^2, large: at 0.001 it outweighs L_simple by a factor of 100 at first, the
  log variance runs away in 30 steps, and what it shares with the mean goes with it;
- vlb: log v uniform, D / v: the continuous-time bound, rate = 1/2 * integral of D dSNR;
- edm: log v uniform, D (1/v + 1/sigma_data^2) (Karras et al. 2022): as vlb where the bits are,
  without giving up the noise levels that decide how the first kilobyte looks;
- psnr: D / E[D | v], whose gradient is that of the mean log D: a decibel counts the same at every
  noise level, as with EDM2's learned weights (Karras et al. 2024). E[D | v] is a running mean.

vlb, edm and psnr may draw log sigma from a truncated normal distribution instead, as EDM does.

All of them are denoising score matching (Vincent 2011), as DDPM finds in section 3.2. Where x0_hat
is E[x0 | y], (x0_hat - y) / v is the score of y = x0 + n, the gradient of log q(y); a network's is

    s_theta(y, v) = (x0_hat - y) / v,
    l(v) = 1/2 E |s_theta(y, v) + (y - x0) / v|^2 = E D / (2 v^2)    (NCSN eqs. 2 and 5)

with (x0 - y) / v the gradient of log q(y | x0). A loss w(v) D is lambda(v) l(v) (NCSN eq. 6), and
lambda(v) = 2 v^2 w(v) is
- simple and hybrid: 2 v for eps, which is NCSN's choice, sigma^2; 2 v^2 for x0, 2 v (1 + v) for v,
  2 v^2 / c_out^2 for mu (network/prediction.py);
- vlb: 2 v; edm: 2 v (1 + v / sigma_data^2); psnr: 2 v^2 / E[D | v];
- nelbo: T (v_t - v_{t-1})^2 / ((1 + v_{t-1}) sigma_t^2 ln 2) for t > 1 (eq. 12), beside what
  sigma_t^2 costs by itself; L_0 is a likelihood.
theory/score_matching.py has the other forms of score matching, which have the same minimum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from diffcodec.network.config import CONTINUOUS, Recipe, TrainConfig
from diffcodec.network.prediction import Prediction
from diffcodec.theory.schedule import Schedule
from diffcodec.theory.units import GREY
from diffcodec.training.importance import History
from diffcodec.training.mean_errors import MeanErrors

LAMBDA = 0.001  # of L in the hybrid objective
EDGE = 1e3  # standard deviations that stand for infinity, where gradients exist
NORMAL = NormalDist()


@dataclass(frozen=True)
class Draw:
    """Noise variances of N images, (N,) float32; t - 1 in the chain, (N,) int64, unless any noise
    level is drawn; weight: 1 / (T p(t)), (N,), which makes every sampling of t unbiased."""

    v: Tensor
    t: Tensor | None
    weight: Tensor

    def to(self, device: torch.device) -> Draw:
        """The draw with v and weight on a device, without waiting for it; t stays."""
        v, weight = (x.to(device, non_blocking=True) for x in (self.v, self.weight))
        return Draw(v, self.t, weight)


class Objective:
    """The recipe's objective; losses are computed on `device`, draws on the CPU."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.network, self.config = recipe.network, recipe.train
        self.prediction = Prediction(recipe.network).to(device)
        chain = Schedule.named(self.network.betas, 1000).respaced(self.config.timesteps)
        self.v, self.T = torch.from_numpy(chain.v.copy()), chain.T
        # log sigma^2 of the two fixed variances; at t = 1 beta_tilde is 0, and its next one serves.
        tilde = np.append(chain.beta_tilde[1], chain.beta_tilde[1:])
        log_variance = np.log(np.stack([tilde, chain.betas]))
        self.log_variance = torch.from_numpy(log_variance).float().to(device)  # (2, T)
        v_s = np.append(0.0, chain.v[:-1])
        self.v_s = torch.from_numpy(v_s).to(device)
        self.v_t = self.v.to(device)
        self.history = History(self.T) if self.config.sampling == "importance" else None
        self.errors = MeanErrors(recipe, device) if self.config.objective == "psnr" else None

    def draw(self, n: int, rng: torch.Generator) -> Draw:
        """n noise levels, stratified: one in each n-th of the distribution."""
        u = (torch.arange(n, dtype=torch.float64) + torch.rand(n, generator=rng).double()) / n
        one = torch.ones(n)
        if self.config.objective in CONTINUOUS:
            return Draw(noise_variances(u, self.config).float(), None, one)
        if self.history is None:
            t = (u * self.T).long().clamp(max=self.T - 1)
            return Draw(self.v[t].float(), t, one)
        p = self.history.probabilities()
        t = torch.searchsorted(p.cumsum(0), u).clamp(max=self.T - 1)
        return Draw(self.v[t].float(), t, (1 / (self.T * p[t])).float())

    def losses(self, x0: Tensor, out: Tensor, draw: Draw, target: Tensor | None = None) -> Tensor:
        """(N,) from images (N, 3, H, W) and what the network made of their noisy states.

        target: (N, 3, H, W), what x0_hat is compared with instead of the images.
        """
        objective = self.config.objective
        x0_hat, share = out[:, : x0.shape[1]], out[:, x0.shape[1] :]
        if objective == "nelbo":
            return self.bound(x0, x0_hat, share, draw)
        d = _apart(x0 if target is None else target, x0_hat)
        if self.errors is not None:
            image = d if target is None else _apart(x0, x0_hat)
            return d / self.errors(draw.v.to(x0.device), image.detach())
        v = draw.v.to(x0.device)
        weight = self.weight(v)
        if objective == "hybrid":
            scale = LAMBDA * v * weight  # LAMBDA itself for eps
            return weight * d + scale * self.bound(x0, x0_hat.detach(), share, draw)
        return weight * d

    def weight(self, v: Tensor) -> Tensor:
        """Weight of D at noise variances v (N,), for all objectives but nelbo."""
        if self.config.objective == "edm":
            return 1 / v + 1 / self.network.sigma_data**2
        if self.config.objective != "vlb" and self.network.predicts in ("x0", "v", "mu"):
            c_out: Tensor = self.prediction(v)[1]
            return 1 / c_out.flatten().square()
        return 1 / v

    def bound(self, x0: Tensor, x0_hat: Tensor, share: Tensor, draw: Draw) -> Tensor:
        """T L_{t-1} in bits/dim, (N,); share: (N, 3, H, W), where log sigma^2 lies from -1 to 1."""
        assert draw.t is not None
        t = draw.t.to(x0.device)
        tilde, beta = (table[t][:, None, None, None] for table in self.log_variance)
        if self.network.sigma2 == "learned":
            mix = (share + 1) / 2
            log_variance = mix * beta + (1 - mix) * tilde
        else:
            log_variance = beta if self.network.sigma2 == "beta" else tilde
            first = (t == 0)[:, None, None, None]
            log_variance = torch.where(first, tilde, log_variance)  # as in DDPM's code
        nats = self._kl(x0, x0_hat, log_variance, t)
        rows = (draw.t == 0).nonzero().flatten().to(x0.device)
        if len(rows):
            sigma = (log_variance.expand_as(x0)[rows] / 2).exp()
            mass = -log_pixel_mass(x0[rows], x0_hat[rows], sigma).mean(dim=(1, 2, 3))
            nats = nats.index_put((rows,), mass.to(nats.dtype))
        return nats * (self.T / math.log(2))

    def _kl(self, x0: Tensor, x0_hat: Tensor, log_variance: Tensor, t: Tensor) -> Tensor:
        """KL(q(x_{t-1} | x_t, x_0) || p_theta), nats per dimension (N,); of no meaning at t = 1."""
        v_t, v_s = (table[t][:, None, None, None] for table in (self.v_t, self.v_s))
        r = v_s / v_t
        log_q = (v_s.clamp(min=1e-12) * (1 - r)).log().float()
        log_p = log_variance + (1 + v_s).log().float()  # in y's units: over alpha_bar_{t-1}
        shift = (1 - r).float() * (x0 - x0_hat)
        gap = log_q - log_p
        kl = 0.5 * (gap.expm1() - gap + shift.square() * (-log_p).exp())
        return kl.mean(dim=(1, 2, 3))

    def remember(self, draw: Draw, losses: Tensor) -> None:
        """Give importance sampling the losses, in all processes alike."""
        if self.history is None:
            return
        assert draw.t is not None
        t, found = draw.t.to(losses.device), losses.detach()
        if dist.is_initialized() and dist.get_world_size() > 1:
            t, found = _of_all(t), _of_all(found)
        self.history.add(t.cpu(), found.cpu())

    def state_dict(self) -> dict[str, Tensor]:
        """What `load_state_dict` needs to resume."""
        kept = self.history or self.errors
        return {} if kept is None else kept.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Resume where `state_dict` was taken."""
        kept = self.history or self.errors
        if kept is not None and state:
            kept.load_state_dict(state)


def noise_variances(u: Tensor, config: TrainConfig) -> Tensor:
    """v (N,) float64 of the recipe's distribution of log sigma, at its quantiles u in 0..1."""
    low, high = (math.log(s / GREY) for s in (config.sigma_min, config.sigma_max))
    if config.sigma_centre == 0:
        return torch.exp(2 * (low + u * (high - low)))
    centre, spread = math.log(config.sigma_centre / GREY), config.sigma_spread
    first, last = (NORMAL.cdf((x - centre) / spread) for x in (low, high))
    found = centre + spread * torch.special.ndtri(first + u * (last - first))
    return torch.exp(2 * found.clamp(low, high))


def log_pixel_mass(x0: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """log of the mass of N(mean, sigma^2) in each pixel's bin (DDPM eq. 13), in nats; float64.

    As diffusion.discretized_gaussian_log_likelihood, with gradients.
    """
    x0, mean, sigma = x0.double(), mean.double(), sigma.double()
    k = ((x0 + 1) * GREY).round()
    low = torch.where(k == 0, -EDGE, ((k - 0.5) / GREY - 1 - mean) / sigma)
    high = torch.where(k == 255, EDGE, ((k + 0.5) / GREY - 1 - mean) / sigma)
    flip = low + high > 0  # the mirror image, where both tails are tiny
    a, b = torch.where(flip, -high, low), torch.where(flip, -low, high)
    log_b = torch.special.log_ndtr(b)
    gap = (log_b - torch.special.log_ndtr(a)).clamp(min=1e-30)
    mass: Tensor = log_b + (-torch.expm1(-gap)).log()
    return mass


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """Mean squares of the differences of images (N, 3, H, W), (N,)."""
    return (a - b).square().mean(dim=(1, 2, 3))


def _of_all(x: Tensor) -> Tensor:
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)
