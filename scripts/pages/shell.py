"""Blocks run as a reader runs them: those of sh in one bash, those of Python in one interpreter, in a scratch folder."""

import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading

# What a page's commands find beside them.
LINKED = ("data", "examples", "scripts")
# How the scratch folder, and the repository, are called in output.
HOME = "/home/you"

# $1 is the block, $2 and $3 are where its output and messages go, $4 is where a failing command is noted, and with
# "fails" for $5 the last command may fail. 8 is the way back to us, which the block's commands do not inherit: one that
# is left running would keep it open.
PRELUDE = r"""
set -euo pipefail
exec 8>&1
__run() {
  trap 'printf "%s %s\n" "$?" "$LINENO" >>"'"$4"'"' ERR
  if [ "$5" = fails ]; then set +e; fi
  . "$1" >>"$2" 2>>"$3" </dev/null 8>&-
  set -- "$?"
  set -e
  trap - ERR
  printf '%s\n' "$1" >&8
}
"""

PYTHON = r"""
import os, sys, traceback
done = os.fdopen(os.dup(1), "w")
names = {"__name__": "__main__"}
for line in sys.stdin:
    block, out, err = line.rstrip("\n").split("\t")
    for fd, path in ((1, out), (2, err)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, fd)
        os.close(opened)
    status = 0
    try:
        exec(compile(open(block, encoding="utf-8").read(), block, "exec"), names)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    print(status, file=done, flush=True)
"""


@dataclasses.dataclass
class Ran:
    """What came of a block."""

    status: int  # Of the last command; None where it took too long.
    lines: list  # What it printed.
    messages: list  # What it said to stderr, unless that is among the lines.
    failed: list  # Status and line within the block of each command that failed.


class Session:
    """A bash, and a Python where one is given, for the blocks of one page."""

    def __init__(self, root, program, python=None, timeout=1200):
        self.root, self.python, self.timeout = pathlib.Path(root).resolve(), python, timeout
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="cnn-codes-page-")).resolve()
        self.folder = self.place / "you"
        for name in ("you", "bin", "blocks", "home"):
            (self.place / name).mkdir()
        for name in LINKED:
            if (self.root / name).exists():
                (self.folder / name).symlink_to(self.root / name)
        (self.place / "bin/cnn-codes").symlink_to(pathlib.Path(program).resolve())
        self.environment = dict(
            os.environ,
            PATH=f"{self.place / 'bin'}{os.pathsep}{os.environ['PATH']}",
            HOME=str(self.place / "home"),
            LC_ALL="C.UTF-8",
            NO_COLOR="1",
            TERM="dumb",
        )
        self.environment.setdefault("CNN_CODES_MODELS", str(self.root / "models"))
        self.n, self.processes = 0, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            # With what the page left running.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            process.stdin.close()
            process.stdout.close()
        shutil.rmtree(self.place, ignore_errors=True)

    def run(self, block):
        """Runs a block, which is of sh or of Python."""
        self.n += 1
        base = self.place / "blocks" / f"{self.n}"
        script, out, err, failed = (base.with_suffix(end) for end in (".script", ".out", ".err", ".failed"))
        script.write_text(block.text, "utf-8")
        if "with messages" in block.marks:
            err = out
        out.touch()
        failed.touch()
        if block.language == "python":
            status = self._ask("python", f"{script}\t{out}\t{err}\n")
        else:
            how = "fails" if "fails" in block.marks else "-"
            status = self._ask("bash", f"__run '{script}' '{out}' '{err}' '{failed}' {how}\n")
        told = [tuple(map(int, line.split())) for line in failed.read_text().splitlines()]
        messages = [] if err == out or not err.exists() else self._lines(err)
        return Ran(status, self._lines(out), messages, told)

    def _ask(self, kind, line):
        """Gives a process a line, and returns the status that it answers, or with which it ended."""
        process = self.processes.get(kind)
        if process is None:
            process = self.processes[kind] = self._start(kind)
        late = threading.Timer(self.timeout, os.killpg, (process.pid, signal.SIGKILL))
        late.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            late.cancel()
        if answer.strip():
            return int(answer)
        status = process.wait()
        return None if status == -signal.SIGKILL else status

    def _start(self, kind):
        command = ["bash", "--norc", "--noprofile"] if kind == "bash" else [str(self.python), "-c", PYTHON]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL if kind == "bash" else None, start_new_session=True,
        )
        if kind == "bash":
            process.stdin.write(PRELUDE)
        return process

    def _lines(self, path):
        text = path.read_text("utf-8", errors="replace")
        text = text.replace(str(self.folder), HOME).replace(str(self.root), f"{HOME}/cnn-codes")
        return [line.rstrip() for line in text.splitlines()]
