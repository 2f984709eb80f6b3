"""Getting what Manabi needs into Slicer's Python: after consent, once, and without touching what Slicer brings."""

from manabi_slicer.install.installer import Installer, resume_after_restart
from manabi_slicer.install.requirements import missing, requirements

__all__ = ["Installer", "missing", "requirements", "resume_after_restart"]
