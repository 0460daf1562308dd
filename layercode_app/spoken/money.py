"""Say amounts of money: "five dollars and fifty cents"."""

from __future__ import annotations

from decimal import Decimal

from .numbers import cardinal, number

CURRENCIES = {
    "USD": ("dollar", "dollars", "cent", "cents"),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "CHF": ("franc", "francs", "centime", "centimes"),
    "CAD": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "AUD": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "INR": ("rupee", "rupees", "paisa", "paise"),
    "JPY": ("yen", "yen", "", ""),
    "CNY": ("yuan", "yuan", "fen", "fen"),
    "KRW": ("won", "won", "", ""),
}
"""The names of each currency: singular, plural, then singular and plural of its hundredth ("" if it has none)."""
SIGNS = {"$": "USD", "US$": "USD", "C$": "CAD", "€": "EUR", "£": "GBP", "₹": "INR", "¥": "JPY", "₩": "KRW"}


def money(amount: Decimal, currency: str) -> str:
    """Say an amount: 5.50 USD is "five dollars and fifty cents".

    An amount with a fraction of a cent is said as a decimal number: "five point five zero five dollars".
    """
    one, several, cent, cents = CURRENCIES[currency]
    sign, amount = ("minus ", -amount) if amount < 0 else ("", amount)
    whole, rest = int(amount), amount % 1 * 100
    if rest % 1 or (rest and not cent):
        return f"{sign}{number(f'{amount:f}')} {several}"
    parts = [f"{cardinal(whole)} {one if whole == 1 else several}"] if whole or not rest else []
    if rest:
        parts.append(f"{cardinal(int(rest))} {cent if rest == 1 else cents}")
    return sign + " and ".join(parts)


def unit_of_money(currency: str, *, single: bool = False) -> str:
    """Return the name of a currency, in the plural unless `single`."""
    return CURRENCIES[currency][0 if single else 1]
