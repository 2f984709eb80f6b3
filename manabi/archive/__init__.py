"""A DICOM archive as a source: indexed once, series chosen by the method's rules, the choice open to change.

:mod:`~manabi.archive.scan` reads the headers of a folder of anything into one SQLite file
(:mod:`~manabi.archive.index`); :mod:`~manabi.archive.series` puts the files together to series again;
:mod:`~manabi.archive.judge` holds a series against a method's :class:`manabi.series_rule.SeriesRule`,
:mod:`~manabi.archive.choose` takes the best of a study and says why, and :mod:`~manabi.archive.choice_csv` writes that
as a table that a person edits and ``manabi batch`` reads. :mod:`~manabi.archive.reading` reads what was chosen.
"""
