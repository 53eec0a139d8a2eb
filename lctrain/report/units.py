"""Figures as people read them: three digits and a unit that fits."""

import math

MINUTE, HOUR = 60, 3600


def format_milliseconds(value: float) -> str:
    """A time of a step.

    >>> format_milliseconds(0.8314), format_milliseconds(145.26), format_milliseconds(1453.0)
    ('0.831 ms', '145 ms', '1.45 s')
    """
    return f"{format_digits(value / 1e3)} s" if value >= 999.5 else f"{format_digits(value)} ms"


def format_seconds(value: float) -> str:
    """A time of a job.

    >>> format_seconds(0.42), format_seconds(75.3), format_seconds(7500)
    ('0.420 s', '1 min 15 s', '2 h 5 min')
    """
    if value < MINUTE:
        return f"{format_digits(value)} s"
    if value < HOUR:
        return f"{int(value // MINUTE)} min {int(value % MINUTE)} s"
    return f"{int(value // HOUR)} h {int(value % HOUR // MINUTE)} min"


def format_megabytes(value: float) -> str:
    """Memory, where 1,024 MB are a GB.

    >>> format_megabytes(312.4), format_megabytes(2150.0)
    ('312 MB', '2.10 GB')
    """
    return f"{format_digits(value / 1024)} GB" if value >= 1000 else f"{value:.0f} MB"


def format_count(value: float) -> str:
    """
    >>> format_count(27792.0)
    '27,792'
    """
    return f"{value:,.0f}" if math.isfinite(value) else str(value)


def format_metric(value: float) -> str:
    """A loss or metric, to four digits behind the point; very large and very small ones by powers of ten.

    >>> format_metric(0.95316), format_metric(0.0), format_metric(3e-7), format_metric(float("nan"))
    ('0.9532', '0.0000', '3.00e-07', 'nan')
    """
    if not math.isfinite(value):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.2e}"


def format_ratio(value: float) -> str:
    """
    >>> format_ratio(1.2345), format_ratio(26.08)
    ('1.2', '26')
    """
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def format_digits(value: float) -> str:
    """
    >>> format_digits(0.8314), format_digits(7.2), format_digits(14.56), format_digits(64500.0)
    ('0.831', '7.20', '14.6', '64,500')
    """
    if not math.isfinite(value) or value == 0:
        return str(value)
    magnitude = math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(2 - magnitude, 0), 6)}f}"
