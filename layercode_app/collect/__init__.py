"""Collectors: toolsets that collect an e-mail address, a date or an order number of a caller, one class for each kind."""

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
