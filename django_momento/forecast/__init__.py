"""Forecast of a cache's hit rate, operations and cost at Momento, from a trace of its calls elsewhere."""
