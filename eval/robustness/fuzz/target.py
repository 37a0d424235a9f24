"""What is fuzzed: a function of bytes that may succeed or refuse, and nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from diffcodec.errors import sentence
from diffcodec.eval.robustness.fuzz.mutation import mutated

LONGEST = 4096  # characters of a refusal, which people have to read

Seeds = Sequence[bytes]
Mutate = Callable[[bytes, Random, Seeds], bytes]
Verdict = Literal["accepted", "refused"]


@dataclass(frozen=True)
class Target:
    """A parser or decoder as those use it who do not trust its input.

    run: takes the input, checks what comes out, and raises what the project raises about bytes.
    seeds: makes inputs that are taken, always the same ones; mutate: an input of one of them, by
    dice, and of the others where it splices. weight: its share of all inputs. memory: bytes that an
    input may take beyond what the seeds take.
    """

    name: str
    about: str
    run: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    mutate: Mutate = mutated
    weight: int = 10
    memory: int = 64 << 20

    def input(self, seeds: Seeds, seed: int, number: int) -> bytes:
        """Input `number` of a run, which depends on nothing else but the seeds and a seed."""
        dice = Random(f"{seed}:{self.name}:{number}")
        return self.mutate(dice.choice(seeds), dice, seeds)

    def verdict(self, data: bytes) -> Verdict:
        """What becomes of an input; raises what no input may raise."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                self.run(data)
            except Exception as error:
                if not refuses(error):
                    raise
                return "refused"
        return "accepted"


def refuses(error: Exception) -> bool:
    """Whether an error is one that the program makes a sentence of, about its input.

    A lack of memory and errors of the system are such, too, but no input may bring them about.
    """
    told = sentence(error)
    ours = isinstance(error, ValueError | ArithmeticError)
    return ours and told is not None and len(told) <= LONGEST
