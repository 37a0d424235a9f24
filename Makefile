# make demo   install the codec (no PyTorch), encode an image, cut the file at five sizes, decode each
# make test   install the rest as well, run the whole test suite
# make portable   kernels otherwise built, and without: the same bits
# make lint   style and types
# make sanitize   the kernels' tests and fuzzing under GCC's sanitizers: an hour
# make fuzz   a million inputs made to break what reads them: half an hour on two cores
# Everything is installed into .venv; the system's Python is not touched.

PYTHON ?= python3
# The version under test. Plain "torch" works too, but brings several GB of CUDA where there is a
# CPU build to be had.
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: setup demo test portable lint sanitize fuzz clean
setup: .venv/ready

KERNELS := $(wildcard bitstream/*.[ch] bitstream/adaptive/*.[ch] diffcodec/exact/*.[ch] \
	diffcodec/exact/bytewise/*.[ch])

.venv/codec: pyproject.toml $(KERNELS)
	@echo "installing the codec into .venv: numpy, Pillow and a few small packages, no PyTorch"
	$(PYTHON) -m venv .venv
	find bitstream diffcodec -name '*.so' -delete  # Python prefers those of its own version to new ones
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/ready: .venv/codec
	@echo "installing PyTorch, and what measures and tests, into .venv"
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

demo: .venv/codec
	$(BIN)/python -m diffcodec.eval.experiments.demo --out demo

test: setup
	$(BIN)/python -m pytest

# Kernels built for each generation of x86-64 alone, and none: the self-test, tests of the coders.
portable: setup
	$(BIN)/python -m diffcodec.eval.robustness.portability -j 2 \
		--variant x86-64 --variant x86-64-v3 --variant x86-64-v4 --variant numpy

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Input n of a target is the same bytes wherever libraries are the same; findings go to findings/.
fuzz: setup
	$(BIN)/python -m diffcodec.eval.robustness.fuzz --inputs 1000000 --seed 0 -j 2 \
		--json eval/results/fuzz.json

# Builds the kernels four times more, into build/sanitize.
sanitize: setup
	$(BIN)/python -m diffcodec.eval.robustness.sanitize --inputs 20000 \
		--json eval/results/sanitize.json

clean:
	rm -rf .venv build *.egg-info demo
