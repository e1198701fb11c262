"""The administrators' pages. Every row is looked up inside the user's tenant; every write goes through `services`.

This module imports nothing, so that the settings can read `appearance`; `apps` brings the pages in.
"""
