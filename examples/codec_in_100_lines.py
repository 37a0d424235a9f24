"""A diffusion codec in 100 lines: Algorithms 3 and 4 of DDPM (Ho, Jain, Abbeel 2020) in real bits.

The source is Gaussian with a known spectrum, so that theory says what each step costs."""

from collections.abc import Iterator
from itertools import pairwise
from math import e, erf, inf, log2, pi, sqrt

import numpy as np

D, T, NU = 3072, 12, 10  # values (as in a 32x32 RGB image), diffusion steps, log2 of trellis states
SPECTRUM = 0.5 + 9000 / (1 + (np.fft.fftfreq(D) / 0.03) ** 2)  # variance of x_0 by frequency
LEVELS = [inf, *np.geomspace(4000, 0.4, T)]  # noise variances; a step goes from v to the next, v_s
MSE = {v: float(np.mean(SPECTRUM / (1 + SPECTRUM / v))) for v in LEVELS}  # of x0_hat at noise v


def denoise(y: np.ndarray, v: float) -> np.ndarray:  # E[x_0 | y], y = x_0 + N(0, v): Wiener filter
    return np.fft.ifft(np.fft.fft(y) * SPECTRUM / (SPECTRUM + v)).real if v < inf else 0 * y


def advance(y: np.ndarray, v: float, v_s: float, z: np.ndarray) -> np.ndarray:
    r = v_s / v  # q(y_s | y, x_0) = N(r y + (1 - r) x_0, v_s (1 - r)), and z = mu + N(0, 1)
    return r * y + (1 - r) * denoise(y, v) + sqrt(v_s * (1 - r)) * z


# Relative entropy coding: n bits name a codeword z near mu, and z serves as mu + N(0, 1). Each bit
# chooses, with the NU bits before it, a row of a random table: z at one n-th of all positions.
def codebook(k: int, sigma2: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    n = round(1.09 * D * log2(1 + sigma2) / 2) + 4  # this code needs 9 % more than theory
    rng = np.random.default_rng(k)
    for at in np.split(rng.permutation(D), [D * i // n for i in range(1, n)]):
        yield at, rng.standard_normal((2 << NU, len(at)), np.float32) * sqrt(1 + sigma2)


def search(mu: np.ndarray, k: int, sigma2: float) -> str:  # Viterbi's algorithm, from state 0
    state = np.arange(1 << NU)  # the last NU bits
    score, path = np.where(state > 0, -inf, 0), np.ones(1 << NU, object)  # a 1, then the bits
    for at, rows in codebook(k, sigma2):
        branch = np.repeat(score, 2) - ((mu[at] - rows * sigma2 / (1 + sigma2)) ** 2).sum(1)
        best = branch.reshape(2, -1).argmax(0) << NU | state  # of the two that enter each state
        score, path = branch[best], path[best >> 1] << 1 | best & 1
    return f"{path[score.argmax()]:b}"[1:]


def codeword(bits: Iterator[str], k: int, sigma2: float) -> np.ndarray:
    z, row = np.empty(D), 0
    for at, rows in codebook(k, sigma2):
        row = (2 * row + int(next(bits))) % len(rows)
        z[at] = rows[row]
    return z


def edges(mean: float) -> tuple[int, list[int]]:  # x_0 | y in bins: the first, and P(below) 2^16
    first, width = round(mean) - 8, sqrt(2 * MSE[LEVELS[-1]])
    below = [erf((first + i - 0.5 - mean) / width) for i in range(17)]
    return first, [int((2**15 - 9) * (1 + p)) + i for i, p in enumerate(below)]


def send(x_0: np.ndarray) -> list[str]:  # Algorithm 3: a message for each step, then for x_0
    y, messages, stack = np.zeros(D), [], 1
    for k, (v, v_s) in enumerate(pairwise(LEVELS)):
        mu = (x_0 - denoise(y, v)) * sqrt(1 / v_s - 1 / v)
        energy = round(16 * log2(np.mean(mu**2))) + 128
        path = search(mu, k, 2 ** (energy / 16 - 8))
        messages.append(f"{energy:08b}{path}")
        y = advance(y, v, v_s, codeword(iter(path), k, 2 ** (energy / 16 - 8)))
    for x, mean in zip(x_0[::-1], denoise(y, v_s)[::-1], strict=True):  # onto a stack: ANS
        first, edge = edges(mean)
        low, high = edge[int(x) - first : int(x) - first + 2]
        stack = (stack // (high - low) << 16) + stack % (high - low) + low
    return [*messages, f"{stack:b}"]


def receive(bits: Iterator[str]) -> Iterator[np.ndarray]:  # Algorithm 4: x0_hats, then exact x_0
    y, x_0 = np.zeros(D), []
    for k, (v, v_s) in enumerate(pairwise(LEVELS)):
        energy = int("".join(next(bits) for _ in range(8)), 2)
        y = advance(y, v, v_s, codeword(bits, k, 2 ** (energy / 16 - 8)))
        yield denoise(y, v_s)
    stack = int("".join(bits), 2)
    for mean in denoise(y, v_s):
        first, edge = edges(mean)
        i = int(np.searchsorted(edge, slot := stack % (1 << 16), "right")) - 1
        stack = (stack >> 16) * (edge[i + 1] - edge[i]) + slot - edge[i]
        x_0.append(first + i)
    yield np.array(x_0)


if __name__ == "__main__":
    white = np.fft.fft(np.random.default_rng(1).standard_normal(D))
    x_0 = np.rint(np.fft.ifft(white * np.sqrt(SPECTRUM - 1 / 12)).real)  # rounding adds 1/12
    messages = send(x_0)
    *estimates, exact = receive(iter("".join(messages)))  # bits are all that the two share
    assert np.array_equal(exact, x_0)
    print("     v   theory     bits      MSE   theory")
    ideal = [D * log2(1 + (1 / s - 1 / v) * MSE[v]) / 2 for v, s in pairwise(LEVELS)]
    for v, mi, bits, x0_hat in zip(LEVELS[1:], ideal, messages, estimates, strict=False):
        print(f"{v:6.1f} {mi:8.0f} {len(bits):8} {np.var(x0_hat - x_0):8.2f} {MSE[v]:8.2f}")
    print(f"  R(D) {np.log2(SPECTRUM / MSE[v]).sum() / 2:8.0f} {sum(map(len, messages[:-1])):8}")
    print(f" exact {np.log2(2 * pi * e * SPECTRUM).sum() / 2:8.0f} {len(''.join(messages)):8}")
