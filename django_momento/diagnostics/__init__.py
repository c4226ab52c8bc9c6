"""``momento_check`` as a library: the examination of a cache, its measurements and its reports."""
