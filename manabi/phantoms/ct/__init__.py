"""CT physics: materials, spectra, projection, reconstruction, and scanners that see any volume.

``scan_volume`` and ``scan_tissues`` are in :mod:`manabi.phantoms.ct.scan`, scanners and their presets in
:mod:`manabi.phantoms.ct.scanner`, and ``simulate`` for whole volumes in :mod:`manabi.phantoms.ct.convert`.
"""
