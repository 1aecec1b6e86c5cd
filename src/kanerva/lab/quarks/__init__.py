"""Take a model of transformers apart into gates, with or without its weights, and report it."""

from kanerva.lab.quarks._count import Count, count
from kanerva.lab.quarks._growth import crossing, polynomial
from kanerva.lab.quarks._load import Subject, load
from kanerva.lab.quarks._save import save
from kanerva.lab.quarks._tables import kinds

__all__ = ["Count", "Subject", "count", "crossing", "kinds", "load", "polynomial", "save"]
