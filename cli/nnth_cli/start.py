"""The entry point of the program, which ends quietly on Ctrl-C even during imports."""

import os
import signal

# OpenBLAS and MKL read these variables when they are loaded. The BLAS has one thread, except for
# large matrices (`nnth._runtime.blas`), and threads that wait for work sleep instead of spinning.
BLAS = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_THREAD_TIMEOUT": "14"}


def main() -> None:
    """Run the program."""
    for name, value in BLAS.items():
        os.environ.setdefault(name, value)
    # Use the default action of SIGINT until imports are done: the exit code is 130, without a
    # traceback. `nnth_cli.process.run` handles it after that. If it is ignored, keep ignoring it.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nnth_cli.main import main as program

    program()
