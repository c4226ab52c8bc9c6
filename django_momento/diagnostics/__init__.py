"""``momento_check`` as a library: what it examines, measures and reports."""
