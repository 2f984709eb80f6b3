"""Where models live: list, verify, install, remove, export and write bundles.

``BundleStore().get("name").build_network()`` is what a method needs; ``write_bundle`` is what training needs.
"""

from manabi.store.cards import card
from manabi.store.files import Limits
from manabi.store.layout import write_bundle
from manabi.store.store import BundleStore

__all__ = ["BundleStore", "Limits", "card", "write_bundle"]
