"""Many cases with one command: ``manabi batch``, and :func:`manabi.batch.run.run_batch` behind it.

The parent (:mod:`manabi.batch.run`) finds the cases (:mod:`~manabi.batch.sources`), keeps the folder of results
(:mod:`~manabi.batch.folder`) and hands cases to worker processes (:mod:`~manabi.batch.pool`), each of which
(:mod:`~manabi.batch.child`) loads its model once and reads, runs and writes one case after another. A case that fails,
or brings its process down, is a row in the table, and the batch goes on.
"""
