"""What is measured: every file in eval/results, and the command that makes it.

The most important come first, and what a measurement reads stands before it. A command is what one
types in the repository, with the data sets in a folder `data`. Beside the code that the probes
watch, a measurement's own module decides about it: who changes what it computes says so with
`accept NAME --older "..."`, and the result counts as stale until it is measured again.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """One command, and the file in eval/results that it makes.

    name: of the file. command: its words with a "/" are what it reads, data/NAME below the folder
    of data sets and all others below the repository; the rest it writes where it runs. minutes: on
    two cores, estimated until a run is recorded. networks: the shipped ones that it measures.
    probes: what of the code decides about it, names in `probes.PROBES`. also: other results that
    the command writes. writes: what the command calls the file, where that is not `name`. tools:
    programs that must be installed. by_hand: what a person makes of the file that is written.
    """

    name: str
    command: str
    minutes: float
    networks: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    writes: str = ""
    tools: tuple[str, ...] = ()
    by_hand: str = ""

    @property
    def words(self) -> list[str]:
        """Of the command, without "> FILE"."""
        words = shlex.split(self.command)
        return words[: words.index(">")] if ">" in words else words

    @property
    def prints(self) -> bool:
        """Is the result what the command prints?"""
        return ">" in shlex.split(self.command)

    @property
    def inputs(self) -> list[str]:
        """Files and folders that it reads."""
        return [word for word in self.words if "/" in word]

    @property
    def files(self) -> tuple[str, ...]:
        """All results that the command makes."""
        return (self.name, *self.also)

    @property
    def is_plot(self) -> bool:
        """Drawn in a second from other results: anew whenever the tables are."""
        return self.words[:2] == ["diffcodec", "plot"]


PHOTO, LARGE, CIFAR10 = ("photo",), ("photo-large",), ("cifar10",)
RATES = ("files", "rates")
CJXL = ("cjxl", "djxl")
LOSSLESS = ("png", "webp", "jpeg2000")  # the codecs that archives are compared with

MEASUREMENTS = (
    Measurement(
        "lossless-kodak.json",
        "python -m diffcodec.eval.experiments.lossless photo-large data/kodak -j 2 "
        "--json lossless-kodak.json",
        24,
        LARGE,
        ("files",),
    ),
    Measurement(
        "lossless-gb82.json",
        "python -m diffcodec.eval.experiments.lossless photo data/gb82 -j 2 "
        "--json lossless-gb82.json",
        22,
        PHOTO,
        ("files",),
    ),
    Measurement(
        "lossless-cifar10.json",
        "python -m diffcodec.eval.experiments.lossless cifar10 data/cifar10 --split test "
        "--tile 32 --count 256 --setting default --setting default::gaussian "
        "--setting default:none -j 2 --json lossless-cifar10.json",
        15,
        CIFAR10,
        ("files",),
    ),
    Measurement(
        "switches-kodak.json",
        "python -m diffcodec.eval.experiments.lossless photo data/kodak --count 2 "
        "--setting default:0.6:gaussian --setting default:0.6 --setting default:1.5 "
        "--setting default:3 --setting default:6 --setting default:9 --setting default:none "
        "-j 2 --json switches-kodak.json",
        8,
        PHOTO,
        ("files",),
    ),
    Measurement(
        "rd-kodak-adaptive.json",
        "diffcodec eval data/kodak -m photo --threads 1 -j 1 --no-peers "
        "--cuts 0.25,0.5,1,1.5,2,3,4 --records kodak-adaptive.jsonl "
        "--json rd-kodak-adaptive.json -f -q",
        40,
        PHOTO,
        RATES,
    ),
    Measurement(
        "adaptive-kodak.json",
        "python -m diffcodec.eval.experiments.adaptive_choices photo data/kodak --count 8 "
        "-j 2 --json adaptive-kodak.json",
        1.5,
        PHOTO,
        ("files",),
    ),
    Measurement(
        "rd-kodak.json",
        "diffcodec eval data/kodak -m photo --residual gaussian --threads 1 -j 1 "
        "--peers jpeg,jpeg2000,webp,avif,png,jpegxl,jpegxl-cut "
        "--records kodak.jsonl --json rd-kodak.json -f -q",
        60,
        PHOTO,
        (*RATES, "jpeg", "jpeg2000", "webp", "avif", "png"),
        tools=CJXL,
    ),
    Measurement(
        "rd-cifar10.json",
        "diffcodec eval data/cifar10 -m cifar10 --split test --tile 32 --count 256 "
        "--residual gaussian --threads 1 -j 1 --peers jpeg,jpeg2000,webp,avif,png,jpegxl "
        "--records cifar.jsonl --json rd-cifar10.json -f -q",
        25,
        CIFAR10,
        (*RATES, "jpeg", "jpeg2000", "webp", "avif", "png"),
        tools=CJXL,
    ),
    Measurement(
        "nelbo-cifar10.json",
        "diffcodec nll --data data/cifar10 --split test --tile 32 --count 2500 -m cifar10 "
        "--stride 990 --threads 1 -j 1 --records whole.jsonl --json -q > nelbo-cifar10.json",
        5,
        CIFAR10,
        ("bound",),
    ),
    Measurement(
        "nelbo-cifar10-train.json",
        "diffcodec nll --data data/cifar10 --split train --tile 32 --count 2500 -m cifar10 "
        "--stride 990 --threads 1 -j 1 --records whole.jsonl --json -q > nelbo-cifar10-train.json",
        5,
        CIFAR10,
        ("bound",),
    ),
    Measurement(
        "nelbo-photo.json",
        "diffcodec nll --data data/gb82 -m photo --stride 24 --threads 1 -j 1 "
        "--records gb82.jsonl --json -q > nelbo-photo.json",
        8,
        PHOTO,
        ("bound",),
    ),
    Measurement(
        "denoising-photo.json",
        "python -m diffcodec.eval.experiments.denoising_table photo data/kodak data/gb82 -j 1 "
        "--records noise.jsonl --json denoising-photo.json",
        6,
        PHOTO,
        ("denoising",),
    ),
    Measurement(
        "denoising-photo-large.json",
        "python -m diffcodec.eval.experiments.denoising_table photo-large data/kodak data/gb82 "
        "-j 1 --records noise.jsonl --json denoising-photo-large.json",
        8,
        LARGE,
        ("denoising",),
    ),
    Measurement(
        "nelbo-photo-large.json",
        "diffcodec nll --data data/gb82 -m photo-large --stride 24 --threads 1 -j 1 "
        "--records gb82.jsonl --json -q > nelbo-photo-large.json",
        4,
        LARGE,
        ("bound",),
    ),
    Measurement(
        "rd-photo-large.json",
        "diffcodec eval data/kodak --count 4 -m photo-large --threads 1 -j 1 --no-peers "
        "--cuts 0.1,0.25,0.5,1,1.5,2,3,4 --records kodak.jsonl --json rd-photo-large.json -f -q",
        7,
        LARGE,
        RATES,
    ),
    Measurement(
        "denoising-cifar10.json",
        "python -m diffcodec.eval.experiments.denoising_table cifar10 data/cifar10 --split test "
        "--tile 32 --images 1000 --records denoise-cifar.jsonl --json denoising-cifar10.json",
        8,
        CIFAR10,
        ("denoising",),
    ),
    Measurement(
        "effort-fast.json",
        "diffcodec eval data/kodak --split kodim23 -m photo --effort fast --threads 2 -j 1 "
        "--no-peers --json effort-fast.json -f -q",
        1,
        PHOTO,
        RATES,
    ),
    Measurement(
        "effort-default.json",
        "diffcodec eval data/kodak --split kodim23 -m photo --effort default --threads 2 -j 1 "
        "--no-peers --json effort-default.json -f -q",
        1,
        PHOTO,
        RATES,
    ),
    Measurement(
        "effort-best.json",
        "diffcodec eval data/kodak --split kodim23 -m photo --effort best --threads 2 -j 1 "
        "--no-peers --json effort-best.json -f -q",
        2,
        PHOTO,
        RATES,
    ),
    Measurement(
        "rd-gb82.json",
        "diffcodec eval data/gb82 -m photo --residual gaussian --threads 1 -j 1 "
        "--peers jpeg2000,webp,png,jpegxl --cuts 0.25,0.5,1 "
        "--records gb82-files.jsonl --json rd-gb82.json -f -q",
        35,
        PHOTO,
        (*RATES, "jpeg2000", "webp", "png"),
        tools=CJXL,
    ),
    Measurement(
        "rd-cifar10-joint.json",
        "diffcodec eval data/cifar10 -m cifar10 --split test --tile 32 --count 256 --joint 64 "
        "--residual gaussian --threads 1 -j 1 --records joint.jsonl "
        "--json rd-cifar10-joint.json -f -q",
        13,
        CIFAR10,
        RATES,
    ),
    Measurement(
        "rd-kodak-best.json",
        "diffcodec eval data/kodak -m photo --effort best --residual gaussian --threads 1 "
        "-j 1 --no-peers --cuts 0.25,0.5,1 --records kodak-best.jsonl "
        "--json rd-kodak-best.json -f -q",
        55,
        PHOTO,
        RATES,
    ),
    Measurement(
        "archive-cifar10.json",
        "python -m diffcodec.eval.experiments.archive_rate data/cifar10 --split test --cut 32 "
        "--images 128 -m cifar10 --json archive-cifar10.json",
        6,
        CIFAR10,
        ("archives", *LOSSLESS),
        tools=CJXL,
    ),
    Measurement(
        "archive-cifar10-gaussian.json",
        "python -m diffcodec.eval.experiments.archive_rate data/cifar10 --split test --cut 32 "
        "--images 128 -m cifar10 --chain 50 --residual gaussian --no-peers "
        "--json archive-cifar10-gaussian.json",
        3,
        CIFAR10,
        ("archives",),
    ),
    Measurement(
        "archive-kodak.json",
        "python -m diffcodec.eval.experiments.archive_rate data/kodak --split kodim23 -m photo "
        "--auto --json archive-kodak.json",
        2,
        PHOTO,
        ("archives", *LOSSLESS),
        tools=CJXL,
    ),
    Measurement(
        "bound-kodak-own.json",
        "diffcodec nll --data data/kodak -m photo --chain 50 --threads 1 -j 1 "
        "--records kodak-own.jsonl --json -q > bound-kodak-own.json",
        7,
        PHOTO,
        ("bound",),
    ),
    Measurement(
        "bound-kodak-own100.json",
        "diffcodec nll --data data/kodak -m photo --chain 100 --stride 10 --threads 1 -j 1 "
        "--records kodak-own100.jsonl --json -q > bound-kodak-own100.json",
        4,
        PHOTO,
        ("bound",),
    ),
    Measurement(
        "bound-cifar10-own.json",
        "diffcodec nll --data data/cifar10 --split test --tile 32 --count 512 -m cifar10 "
        "--chain 50 --threads 1 -j 1 --records cifar-own.jsonl --json -q > bound-cifar10-own.json",
        8,
        CIFAR10,
        ("bound",),
    ),
    Measurement(
        "bound-photo.json",
        "diffcodec nll --data data/gb82 -m photo --chain chosen:1000 --stride 24 --threads 1 -j 1 "
        "--records gb82-chosen.jsonl --json -q > bound-photo.json",
        8,
        PHOTO,
        ("bound", "levels"),
    ),
    Measurement(
        "bound-cifar10.json",
        "diffcodec nll --data data/cifar10 --split test --tile 32 -m cifar10 "
        "--chain chosen:1000 --stride 990 --threads 1 -j 1 --records whole-chosen.jsonl "
        "--json -q > bound-cifar10.json",
        22,
        CIFAR10,
        ("bound", "levels"),
    ),
    Measurement(
        "ddpm-table.json",
        "python -m diffcodec.eval.experiments.ddpm_table eval/results/nelbo-cifar10.json "
        "data/cifar10 --split test --tile 32 --images 128 --joint 64 -m cifar10 "
        "--json ddpm-table.json --plot figure5.png",
        8,
        CIFAR10,
        RATES,
        also=("figure5.png",),
    ),
    Measurement(
        "odd-pictures.json",
        "python -m diffcodec.eval.experiments.odd_images photo --json odd-pictures.json",
        2,
        PHOTO,
        ("files", "png", "webp"),
    ),
    Measurement(
        "odd-inputs.json",
        "python -m diffcodec.eval.experiments.odd_inputs tests/images/dog.png "
        "--json odd-inputs.json",
        1.5,
        LARGE,
        ("files", "png", "webp"),
    ),
    Measurement(
        "many-machines.json",
        "python -m diffcodec.eval.experiments.many_machines data/cifar10 --split test --tile 32 "
        "--json many-machines.json",
        15,
        CIFAR10,
        ("files",),
    ),
    Measurement(
        "coder.json",
        "python -m diffcodec.eval.experiments.coder_benchmark --json coder.json",
        12,
        probes=("coder",),
    ),
    Measurement(
        "step-codes-kodak.json",
        "python -m diffcodec.eval.experiments.step_codes photo data/kodak --count 4 -j 2 "
        "--json step-codes-kodak.json",
        12,
        PHOTO,
        ("files", "coder"),
    ),
    Measurement(
        "step-codes-cifar10.json",
        "python -m diffcodec.eval.experiments.step_codes cifar10 data/cifar10 --split test "
        "--tile 32 --count 16 -j 2 --json step-codes-cifar10.json",
        4,
        CIFAR10,
        ("files", "coder"),
    ),
    Measurement(
        "bitsback.json",
        "python -m diffcodec.eval.experiments.bitsback_benchmark -m cifar10 --data data/cifar10 "
        "--cut 32 --chain 50 --json bitsback.json",
        1,
        CIFAR10,
        ("stack", "archives"),
    ),
    Measurement(
        "schedule-cifar10.json",
        "diffcodec schedule cifar10 --data data/cifar10 --split train --chain 50 "
        "-o sc.safetensors -f -q --json > schedule-cifar10.json",
        3,
        CIFAR10,
        ("levels",),
    ),
    Measurement(
        "schedule-photo.json",
        "diffcodec schedule photo --data data/photos --chain 50 "
        "-o sp.safetensors -f -q --json > schedule-photo.json",
        3,
        PHOTO,
        ("levels",),
    ),
    Measurement(
        "rate-by-steps-cifar10.json",
        "python -m diffcodec.eval.experiments.rate_by_steps cifar10 data/cifar10 --split test "
        "--tile 32 --images 12 --steps 12 --steps 25 --steps 50 --steps 100 --steps 250 "
        "--steps 1000 -j 1 --records steps.jsonl --json rate-by-steps-cifar10.json",
        7,
        CIFAR10,
        (*RATES, "levels"),
    ),
    Measurement(
        "local-variance.json",
        "python -m diffcodec.eval.experiments.local_variance photo data/kodak --images 6 "
        "--crop 256 --json local-variance.json",
        1,
        PHOTO,
        ("network",),
    ),
    Measurement(
        "exact-speed.json",
        "python -m diffcodec.eval.experiments.exact_speed photo photo-large --large --rounds 3 "
        "--json exact-speed.json",
        15,
        (*PHOTO, *LARGE),
        ("network",),
    ),
    Measurement(
        "exact-settings.json",
        "python -m diffcodec.eval.experiments.exact_settings photo-large "
        "--json exact-settings.json",
        10,
        LARGE,
        ("network", "files", "training"),
    ),
    Measurement(
        "exact-cost-cifar10.json",
        "python -m diffcodec.eval.experiments.exact_cost runs/cifar10/model.safetensors "
        "diffcodec/zoo/cifar10.safetensors --data data/cifar10 --split test --tile 32 "
        "--images 256 --steps 50 --stride 2 --json exact-cost-cifar10.json",
        5,
        CIFAR10,
        ("bound", "network", "training"),
    ),
    Measurement(
        "exact-cost-photo.json",
        "python -m diffcodec.eval.experiments.exact_cost runs/photo/model.safetensors "
        "diffcodec/zoo/photo.safetensors --data data/gb82 --images 4 --crop 256 --steps 25 "
        "--json exact-cost-photo.json",
        2,
        PHOTO,
        ("bound", "network", "training"),
    ),
    Measurement(
        "exact-cost-photo-large.json",
        "python -m diffcodec.eval.experiments.exact_cost runs/first/model.safetensors "
        "diffcodec/zoo/photo-large.safetensors --data data/gb82 --images 4 --crop 256 --steps 25 "
        "--json exact-cost-photo-large.json",
        2,
        LARGE,
        ("bound", "network", "training"),
    ),
    Measurement(
        "classifiers-cifar10.json",
        "python -m diffcodec.eval.experiments.classifier_accuracy cifar10 cifar10-judge "
        "--data data/cifar10 --split test --tile 32 --labels data/cifar10/test_labels.npy "
        "--json classifiers-cifar10.json",
        5,
    ),
    Measurement(
        "inversion-cifar10.json",
        "python -m diffcodec.eval.experiments.inversion data/cifar10 --split test --tile 32 "
        "--count 100 --json inversion-cifar10.json",
        8,
        CIFAR10,
        ("network", "sampling"),
    ),
    Measurement(
        "sample-quality-cifar10.json",
        "python -m diffcodec.eval.experiments.sample_quality --data data/cifar10 --split test "
        "--tile 32 --json sample-quality-cifar10.json",
        50,
        CIFAR10,
        ("network", "sampling"),
    ),
    Measurement(
        "progressive-quality-cifar10.json",
        "python -m diffcodec.eval.experiments.progressive_quality --data data/cifar10 "
        "--split test --tile 32 --json progressive-quality-cifar10.json --plot figure10.png",
        16,
        CIFAR10,
        ("network", "sampling"),
        also=("figure10.png",),
    ),
    Measurement(
        "guidance-cifar10.json",
        "python -m diffcodec.eval.experiments.guidance --data data/cifar10 --split test "
        "--tile 32 --labels data/cifar10/test_labels.npy --json guidance-cifar10.json",
        2.5,
        CIFAR10,
        ("network", "sampling"),
    ),
    Measurement(
        "guidance-ddpm-cifar10.json",
        "python -m diffcodec.eval.experiments.guidance --data data/cifar10 --split test "
        "--tile 32 --labels data/cifar10/test_labels.npy --sampler ddpm --steps 100 "
        "--json guidance-ddpm-cifar10.json",
        4,
        CIFAR10,
        ("network", "sampling"),
    ),
    Measurement(
        "quality-floor-cifar10.json",
        "diffcodec quality data/cifar10/train-09.webp --reference data/cifar10 --split test-00 "
        "--floor test-01 --tile 32 --json quality-floor-cifar10.json -q",
        1,
    ),
    Measurement(
        "bit-rot.json",
        "python -m diffcodec.eval.experiments.bit_rot --json bit-rot.json",
        3,
        probes=("files", "archives"),
    ),
    Measurement(
        "fuzz.json",
        "python -m diffcodec.eval.robustness.fuzz --inputs 1000000 --seed 0 -j 2 --json fuzz.json",
        20,
    ),
    Measurement(
        "faults.json",
        "python -m diffcodec.eval.robustness.faults --moments 100 --seed 0 -j 2 --json faults.json",
        40,
    ),
    Measurement(
        "prefixes.json",
        "python -m diffcodec.eval.robustness.prefixes data/kodak -j 2 --json prefixes.json",
        25,
        ("cifar10", "photo-large"),
        ("files", "archives"),
    ),
    Measurement(
        "load.json",
        "python -m diffcodec.eval.robustness.load data/kodak --json load.json",
        18,
    ),
    Measurement(
        "portability.json",
        "python -m diffcodec.eval.robustness.portability --variant x86-64 --variant numpy "
        "--variant i386 --variant aarch64 --variant s390x --suite forky --work port -j 1 "
        "--json portability.json",
        40,
    ),
    Measurement(
        "every-denoiser.json",
        "python -m diffcodec.eval.experiments.every_denoiser cifar10 runs/eps/model.safetensors "
        "runs/eps/model.exact.safetensors runs/eps/model.bytes.safetensors "
        "runs/ddpm-small/model.safetensors "
        "runs/ddpm-small/model.exact.safetensors runs/ddpm-small/folder --data data/cifar10 "
        "--split test --tile 32 --count 64 --json every-denoiser.json",
        15,
        CIFAR10,
        ("files", "bound", "network", "training"),
    ),
    Measurement(
        "large.json",
        "python -m diffcodec.eval.experiments.large_image tests/images/dog.png --megapixels 1 "
        "--megapixels 4 --megapixels 24 --effort fast --json large.json",
        40,
        LARGE,
        ("files",),
    ),
    Measurement(
        "ablation.json",
        "python -m diffcodec.eval.experiments.ablation recipes/ablation.toml --data data/cifar10 "
        "--split train --test data/cifar10/test-00.webp --images 256 --steps 1000 --predicts mu "
        "--predicts eps --out ablation --json ablation.json",
        60,
        probes=("training", "bound", "denoising"),
    ),
    Measurement(
        "rd-kodak.png",
        "diffcodec plot eval/results/rd-kodak.json -o rd-kodak.png -f -q",
        0.1,
    ),
    Measurement(
        "rd-cifar10.png",
        "diffcodec plot eval/results/rd-cifar10.json -o rd-cifar10.png -f -q",
        0.1,
    ),
    Measurement(
        "cuts.png",
        "python -m diffcodec.eval.experiments.demo tests/images/dog.png --out .",
        0.5,
        PHOTO,
        ("files",),
        writes="dog-cuts.png",
    ),
    Measurement(
        "report.png",
        "diffcodec report tests/images/dog.png -o report.html --peers jpeg2000 -f -q",
        2,
        PHOTO,
        ("files", "jpeg2000"),
        writes="report.html",
        by_hand="open report.html, choose JPEG 2000 on the right and about 860 bytes, and save "
        "what is seen as eval/results/report.png",
    ),
)

COMMANDS = {name: one.command for one in MEASUREMENTS for name in one.files}
