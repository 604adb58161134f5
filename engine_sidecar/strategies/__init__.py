"""Builds strategies from plain configs and keeps their mistakes from taking the engine down without a word."""
