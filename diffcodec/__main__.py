"""`python -m diffcodec` is the command `diffcodec`."""

from diffcodec.cli.main import main

if __name__ == "__main__":
    main()
