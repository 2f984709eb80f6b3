"""Getting what Manabi needs into Slicer's Python: after consent, once, and without touching what Slicer brings."""

from manabi_slicer.install.installer import Installer, resume_after_restart
from manabi_slicer.install.requirements import missing

__all__ = ["Installer", "missing", "resume_after_restart"]
