"""The agent engine: every unit of product an entity with a passport. An implementation of its own of the same model."""
