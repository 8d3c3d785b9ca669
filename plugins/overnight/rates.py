"""Shares of small numbers, and how sure one may be of them. Pure; units are counts and shares from 0 to 1.

Used by the digests, the launch gate and the drift rules: there is one interval in this house, Wilson's (E. B. Wilson, 1927).
"""

from math import sqrt

Z95 = 1.96


def wilson(hits: int, of: int, z: float = Z95) -> tuple[float, float]:
    """The 95 % Wilson interval of a share; (0, 1) when nothing was counted."""
    if not of:
        return 0.0, 1.0
    share = hits / of
    centre = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, centre - half), min(1.0, centre + half)


def apart(a: tuple[int, int], b: tuple[int, int], *, among: int = 1) -> bool:
    """Whether two shares, each (hits, of), differ by more than chance at 5 %: Fisher's exact test, right for few hits, too.

    Args:
        among: how many comparisons are made side by side; each is held to its part of the 5 % (Bonferroni), or a page of fifteen
            would show a move on most nights on which nothing moved.
    """
    import numpy as np
    from scipy.stats import fisher_exact

    if not a[1] or not b[1]:
        return False
    found = fisher_exact(np.array([[a[0], a[1] - a[0]], [b[0], b[1] - b[0]]]))
    return bool(found.pvalue < 0.05 / max(1, among))


def at_most(hits: int, of: int, share: float) -> float:
    """How probable so few hits or fewer are, when the true share is `share` (the binomial's lower tail)."""
    from scipy.stats import binom

    return float(binom.cdf(hits, of, share))


def at_least(hits: int, of: int, share: float) -> float:
    """How probable so many hits or more are, when the true share is `share` (the binomial's upper tail)."""
    from scipy.stats import binom

    return float(binom.sf(hits - 1, of, share))
