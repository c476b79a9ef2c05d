"""How properties are searched: machines that share their cores miss deadlines without anything being wrong."""

from hypothesis import settings

settings.register_profile("domain", deadline=None)
settings.load_profile("domain")
