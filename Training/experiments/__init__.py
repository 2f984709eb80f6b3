"""The experiments of the source studies, repeated with ours beside them."""
