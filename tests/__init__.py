"""A package, so that no other package's folder `tests` is taken for it: some put theirs into site-packages."""
