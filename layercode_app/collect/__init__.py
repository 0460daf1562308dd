"""Collectors: toolsets that get a value from a caller. Each kind has a class, such as Email, Date or Phone."""

from .address import Address
from .choice import Choice
from .code import Code
from .date import Date
from .email import Email
from .money import Money
from .name import Name
from .number import Number
from .phone import Phone
from .state import Answer, Collecting
from .time import Time
from .toolset import Collector
from .yes_no import YesNo

__all__ = [
    "Address",
    "Answer",
    "Choice",
    "Code",
    "Collecting",
    "Collector",
    "Date",
    "Email",
    "Money",
    "Name",
    "Number",
    "Phone",
    "Time",
    "YesNo",
]
