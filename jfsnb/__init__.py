"""jfsnb: notebooks that prove which JuiceFS client serves a Pod."""

__version__ = "0.1.0"
