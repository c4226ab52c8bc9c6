"""Policies around a call, each in a module of its own."""
