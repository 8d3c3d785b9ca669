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


def apart(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two shares, each (hits, of), differ by more than chance: their difference's 95 % interval leaves out nought.

    Newcombe's interval from two Wilson intervals.
    """
    if not a[1] or not b[1]:
        return False
    p, q = a[0] / a[1], b[0] / b[1]
    (pl, pu), (ql, qu) = wilson(*a), wilson(*b)
    low = p - q - sqrt((p - pl) ** 2 + (qu - q) ** 2)
    high = p - q + sqrt((pu - p) ** 2 + (q - ql) ** 2)
    return low > 0 or high < 0


def at_most(hits: int, of: int, share: float) -> float:
    """How probable so few hits or fewer are, when the true share is `share` (the binomial's lower tail)."""
    from scipy.stats import binom

    return float(binom.cdf(hits, of, share))


def at_least(hits: int, of: int, share: float) -> float:
    """How probable so many hits or more are, when the true share is `share` (the binomial's upper tail)."""
    from scipy.stats import binom

    return float(binom.sf(hits - 1, of, share))
