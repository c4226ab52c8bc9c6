"""What other packages and views use a cache of Momento for."""
