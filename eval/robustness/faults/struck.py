"""A command with a fault planted in its process: `FAULT='{...}' python -m ….struck encode a.png`.

The JSON in the environment, which workers see as well, says which. "patches": numbers of modules by
their full names. "folder": whose files matter; "event": at its so manieth touch of one, the signal
"number" comes, "after" so many seconds; "count": a file that gets a byte for each touch. "shrink":
a file that loses its second half as it is opened.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
import threading
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "FAULT"  # of the variable
TOUCHES = ("open", "os.rename", "os.remove", "os.chmod", "os.mkdir", "os.utime", "os.truncate")


class Fault:
    """What is planted, and how far the command is."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.about, self.touches = about, 0
        self.folder = os.path.join(os.path.realpath(about["folder"]), "")
        self.shrinks = about.get("shrink")

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """A hook of the interpreter's audit; it is called before a file is touched."""
        if event not in TOUCHES or not isinstance(arguments[0], str | Path):
            return
        path = os.path.abspath(arguments[0])
        if path == self.shrinks:
            self.shrinks = None
            os.truncate(path, os.path.getsize(path) // 2)
        if path.startswith(self.folder):
            self.touches += 1
            if "count" in self.about:
                with open(self.about["count"], "ab") as file:  # of workers, too
                    file.write(b".")
            if self.touches == self.about.get("event"):
                self.strike()

    def strike(self) -> None:
        """Now, or in a moment."""
        if self.about["after"]:
            threading.Thread(target=self._wait_and_kill, daemon=True).start()
        else:
            self._kill()

    def _wait_and_kill(self) -> None:
        time.sleep(self.about["after"])
        self._kill()

    def _kill(self) -> None:
        """The leader of the group; Ctrl-C goes to all of it. Workers run this module, too."""
        if self.about["number"] == signal.SIGINT:
            os.killpg(0, signal.SIGINT)
        else:
            os.kill(os.getpgrp(), self.about["number"])


class Patches(MetaPathFinder):
    """Numbers of modules that are other ones once the command has imported them: not before, or
    imports would come at another time than they do.
    """

    def __init__(self, patches: dict[str, Any]) -> None:
        self.patches = {tuple(name.rsplit(".", 1)): value for name, value in patches.items()}

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own, but for what runs at its end."""
        mine = {key: value for (module, key), value in self.patches.items() if module == name}
        spec = PathFinder.find_spec(name, path, target) if mine else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def executed(module: ModuleType) -> None:
            execute(module)
            vars(module).update(mine)

        spec.loader.exec_module = executed  # type: ignore[method-assign]
        return spec


def plant() -> Fault:
    """What the environment says."""
    fault = Fault(json.loads(os.environ[NAME]))
    sys.meta_path.insert(0, Patches(fault.about.get("patches", {})))
    sys.addaudithook(fault.hear)
    return fault


def main() -> None:
    """The command, with the fault."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as the program does, at once
    plant()
    runpy.run_module("diffcodec", run_name="__main__")


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":  # a worker
    plant()
