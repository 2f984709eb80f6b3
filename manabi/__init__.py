"""Manabi: published Japanese clinical deep-learning studies as tools.

Nothing heavy is imported here: ``import manabi`` costs milliseconds, torch and SimpleITK are loaded by the
functions that need them.
"""

import os as _os

__version__ = "0.1.0"

# torch reads this at its first allocation: large tensors on Linux then use huge pages. Whole-volume inference on a
# processor otherwise spends half its time on page faults. Set it to 0 in the environment to switch it off.
_os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
