"""Becomes another program that the kernel kills when our parent is gone: `python -I -S leash.py PARENT PROGRAM ...`.

Linux only; elsewhere it just becomes the program.
"""

import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() != parent:
            sys.exit("the parent is gone already")
    os.execvp(command[0], command)
