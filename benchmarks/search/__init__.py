"""Problems with known optima, and the arithmetic of comparing search methods on them."""
