"""A learned energy of schedules: fields, couplings of pairs, and one cap that costs only where it is exceeded.

The value of a point is modelled as

    E(s, v) = c + sum_i h_i s_i + sum_(i,j) J_ij s_i s_j + max(0, a + sum_i w_i s_i) + q(v)

with spins s_i = -1 (off) or +1 (on) and q a full quadratic in the parameter values. Coupled pairs are those that a
schedule suggests: two columns in one epoch, and one column in two neighbouring epochs (set-up costs); in a flat
space, all pairs. The cap stands for budgets and emission limits that bind near the best schedules: a hinge in an
unknown direction. Fields and couplings are a ridge regression on told values (as in BOCS, Baptista & Poloczek 2018);
the cap is found by alternating between the regression and the question which points exceed it (as in the hinging
hyperplanes of Breiman 1993).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs
from threadpoolctl import threadpool_limits

from optimizers.archive import Points, stack
from optimizers.contract import SearchSpace

_MOST_FEATURES = 2200  # beyond, a fit takes seconds
_ROUNDS = 2  # of regression and of asking which points exceed the cap
_FIRST_OVER = 0.75  # of the points, the worst, are taken to exceed a cap that isn't known yet
_FIRM, _SOFT = 0.5, 10.0  # ridge: with twice as many points as features or more, and with half as many
_STEPS = 40  # of conjugate gradients a regression, from the last one's result on
_ENOUGH = 1e-4  # of the right side's norm

Real = NDArray[np.float32]
_symv, _syrk = get_blas_funcs(("symv", "syrk"), dtype=np.float32)  # on one triangle: half the work


class Energy:
    """The model of one space; `learn` adds points, `fit` makes it known. `size`: its number of features.

    `possible` is False for a space without bits, or with too many of them to be modelled.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.epochs, self.columns, self.parameters = space.epochs, space.columns, len(space.parameters)
        self.first, self.second = _pairs(self.epochs, self.columns)
        self._value_pairs = np.triu_indices(self.parameters)
        self.spins = self.epochs * self.columns
        self.size = 1 + self.spins + len(self.first) + self.parameters + len(self._value_pairs[0])
        self.possible = self.spins > 1 and self.size + self.spins <= _MOST_FEATURES
        self._lines = 1 + self.spins  # the features, the first ones, in which the cap is linear
        self._points = stack(space, [])
        self._told = np.zeros(0, dtype=np.float32)
        self._over = np.zeros(0, dtype=np.bool_)
        if self.possible:
            # Symmetric: only the upper triangle is kept up.
            self._moments = np.zeros((self.size, self.size), dtype=np.float32, order="F")
            self._right = np.zeros(self.size, dtype=np.float32)
            self._cap_moments = np.zeros((self.size, self._lines), dtype=np.float32)
            self._cap_right = np.zeros(self._lines, dtype=np.float32)
            self.weights = np.zeros(self.size, dtype=np.float32)
            self.cap = np.zeros(self._lines, dtype=np.float32)
        self.offset, self.unit = 0.0, 0.0  # of the values learnt from; the first ones set them

    @classmethod
    def weighted(cls, energies: "Sequence[Energy]", weights: NDArray[np.float64]) -> "Energy":
        """Return the sum of energies of one space, each times a weight: an energy to be read, not to be fitted."""
        first = energies[0]
        found = cls.__new__(cls)
        found.__dict__.update(first.__dict__)
        scaled = weights * np.array([one.unit for one in energies])
        found.weights = (scaled @ np.stack([one.weights for one in energies])).astype(np.float32)
        found.cap = (scaled @ np.stack([one.cap for one in energies])).astype(np.float32)
        found.offset = float(weights @ np.array([one.offset for one in energies]))
        found.unit = 1.0
        return found

    def learn(self, points: Points, values: NDArray[np.float64]) -> None:
        """Add n points and their values, shape (n,), to the moments of the regression."""
        if self.unit == 0.0:
            self.offset, self.unit = float(np.mean(values)), float(np.std(values)) or 1.0
        told = ((values - self.offset) / self.unit).astype(np.float32)
        with threadpool_limits(limits=1, user_api="blas"):
            features = self._features(points)
            self._moments = _syrk(1.0, features.T, beta=1.0, c=self._moments, trans=1, overwrite_c=1)
            self._right += features @ told
            over = np.concatenate([self._over, self._excess(features[1 : self._lines].T) > 0.0])
            self._points = Points(
                bits=np.concatenate([self._points.bits, points.bits]),
                values=np.concatenate([self._points.values, points.values]),
            )
            self._told = np.concatenate([self._told, told])
            self._over = np.concatenate([self._over, np.zeros(len(told), dtype=np.bool_)])
            self._turn(over)

    def fit(self) -> None:
        """Fit all that was learnt. The cap is sought where points outnumber the features.

        One thread, whatever the machine's habit: sums in another order would be another search.
        """
        with threadpool_limits(limits=1, user_api="blas"):
            capped = len(self._told) > self.size
            if capped and not self.capped:
                self._turn(self._told > np.quantile(self._told, 1.0 - _FIRST_OVER))
            for _ in range(_ROUNDS if capped else 1):
                self._solve(capped=capped)
                over = self.excess(self._points.bits) > 0.0 if capped else self._over
                if np.array_equal(over, self._over):
                    break
                self._turn(over)

    def predict(self, points: Points) -> NDArray[np.float64]:
        """Return the modelled value of each point, shape (n,)."""
        features = self._features(points)
        told = self.weights @ features + np.maximum(self.cap @ features[: self._lines], 0.0)
        return self.offset + self.unit * told.astype(np.float64)

    def fields(self, share: Real) -> Real:
        """Return the field on each spin, shape (k, spins), with that share of the cap's slope in force, shape (k,)."""
        return (self.weights[1 : self._lines] + share[:, None] * self.cap[1:]).astype(np.float32)

    @property
    def couplings(self) -> Real:
        """The coupling of each pair (`first`, `second`)."""
        return self.weights[1 + self.spins : 1 + self.spins + len(self.first)]

    @property
    def capped(self) -> bool:
        """Whether a cap was found."""
        return bool(np.any(self.cap))

    def excess(self, bits: NDArray[np.bool_]) -> Real:
        """Return by how much schedules, (..., epochs, columns), exceed the cap; negative below it. Shape (...)."""
        return self._excess(_spins(bits).reshape(*bits.shape[:-2], self.spins))

    def best_values(self) -> NDArray[np.float64]:
        """Return the parameter values in [0, 1] that the quadratic holds best, shape (parameters,).

        Directions in which it does not curve upwards are left at the middle.
        """
        start = 1 + self.spins + len(self.first)
        slope = self.weights[start : start + self.parameters].astype(np.float64)
        curve = np.zeros((self.parameters, self.parameters))
        curve[self._value_pairs] = self.weights[start + self.parameters :]
        roots, axes = np.linalg.eigh(curve + curve.T)
        curved = roots > 1e-3 * max(float(np.max(roots, initial=0.0)), 1e-12)
        step = np.where(curved, (axes.T @ slope) / np.where(curved, roots, 1.0), 0.0)
        return np.clip(0.5 - axes @ step, 0.0, 1.0)

    def _features(self, points: Points) -> Real:
        """Return the features of n points, shape (size, n): a row each, so that pairs of rows multiply fast."""
        spins = np.ascontiguousarray(_spins(points.bits).reshape(len(points), self.spins).T)
        values = np.ascontiguousarray((points.values - 0.5).astype(np.float32).T)
        found = np.empty((self.size, len(points)), dtype=np.float32)
        found[0] = 1.0
        found[1 : self._lines] = spins
        end = self._lines + len(self.first)
        np.multiply(spins[self.first], spins[self.second], out=found[self._lines : end])
        found[end : end + self.parameters] = values
        left, right = self._value_pairs
        np.multiply(values[left], values[right], out=found[end + self.parameters :])
        return found

    def _excess(self, spins: Real) -> Real:
        return self.cap[0] + spins @ self.cap[1:]

    def _turn(self, over: NDArray[np.bool_]) -> None:
        """Count other points as exceeding the cap, and bring the moments into line."""
        for rows, sign in ((np.flatnonzero(over & ~self._over), 1.0), (np.flatnonzero(self._over & ~over), -1.0)):
            if len(rows):
                features = self._features(self._points.take(rows))
                lines = features[: self._lines]
                self._cap_moments += np.float32(sign) * (features @ lines.T)
                self._cap_right += np.float32(sign) * (lines @ self._told[rows])
        self._over = over

    def _solve(self, *, capped: bool) -> None:
        """Solve the regression on the features and, where capped, on the lines of points over the cap."""
        size, n = self.size, len(self._told)
        ridge = np.float32(np.interp(n / size, (0.5, 2.0), (_SOFT, _FIRM)))
        penalty = np.full(size + self._lines, ridge, dtype=np.float32)
        penalty[0] = 1e-3
        inner = self._cap_moments[: self._lines]  # lines of points over the cap against lines
        end = size + self._lines if capped else size

        def product(x: Real) -> Real:
            found = penalty[:end] * x
            found[:size] += _symv(1.0, self._moments, x[:size])
            if capped:
                found[:size] += self._cap_moments @ x[size:]
                found[size:] += x[:size] @ self._cap_moments + inner @ x[size:]
            return found

        diagonal = penalty.copy()
        diagonal[:size] += np.diagonal(self._moments)
        diagonal[size:] += np.diagonal(inner)
        start = np.concatenate([self.weights, self.cap])[:end]
        sides = np.concatenate([self._right, self._cap_right])[:end]
        found = _conjugate_gradients(product, sides, diagonal[:end], start)
        self.weights, self.cap = found[:size], found[size:] if capped else np.zeros_like(self.cap)


def _conjugate_gradients(product: Callable[[Real], Real], right: Real, diagonal: Real, start: Real) -> Real:
    """Solve a positive definite system, scaled by its diagonal (Hestenes & Stiefel 1952; Jacobi's scaling)."""
    x = start.copy()
    rest = right - product(x)
    scaled = rest / diagonal
    direction = scaled.copy()
    size = float(rest @ scaled)
    enough = (_ENOUGH**2) * float(right @ (right / diagonal))
    for _ in range(_STEPS):
        if size <= enough:
            break
        image = product(direction)
        step = np.float32(size / float(direction @ image))
        x += step * direction
        rest -= step * image
        scaled = rest / diagonal
        size, before = float(rest @ scaled), size
        direction = scaled + np.float32(size / before) * direction
    return x


def _spins(bits: NDArray[np.bool_]) -> Real:
    found = bits.astype(np.float32)
    found *= 2.0
    found -= 1.0
    return found


def _pairs(epochs: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the coupled pairs, as places among the bits row by row."""
    place = np.arange(epochs * columns).reshape(epochs, columns)
    if epochs < 2 or columns < 2:
        first, second = np.triu_indices(epochs * columns, 1)
        return first, second
    left, right = np.triu_indices(columns, 1)
    first = np.concatenate([place[:, left].ravel(), place[:-1].ravel()])
    second = np.concatenate([place[:, right].ravel(), place[1:].ravel()])
    return first, second
