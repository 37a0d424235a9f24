"""`python -m diffcodec` is the command `diffcodec`."""

import signal


def program() -> None:
    """The command, as the program of this process; it exits.

    Ctrl-C while its modules are read ends it like any program, without a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from diffcodec.cli.main import main

    main()


if __name__ == "__main__":
    program()
