"""Unit conversions, each done once, at a door; inside everything is in seconds, tokens, bytes, ratios, per hour.

This module imports nothing.
"""

SECONDS_PER_HOUR = 3600.0


def render_utc(time_s: float) -> str:
    """Return the whole second before `time_s` [Unix s] as text in UTC, such as ``2027-01-31T18:00:00Z`` (RFC 3339).

    Notes
    -----
    Days are counted from 1 March of year 0, in eras of 400 years: so leap days come last in a year and in a cycle.

    Source: proleptic Gregorian calendar; derived.
    """
    days, second = divmod(int(time_s // 1.0), 86_400)
    era, day_of_era = divmod(days + 719_468, 146_097)  # days from 0000-03-01 to 1970-01-01; days of 400 years
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153  # 0 is March: lengths repeat every five months, 153 days
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = 400 * era + year_of_era + (month <= 2)
    return f"{year:04d}-{month:02d}-{day:02d}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


def to_cost(cost_per_hour: float, duration_s: float) -> float:
    """Return what `cost_per_hour` [currency/h] costs over `duration_s` [s], in currency."""
    return cost_per_hour * duration_s / SECONDS_PER_HOUR
