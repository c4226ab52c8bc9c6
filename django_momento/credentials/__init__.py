"""Where the Momento API key comes from: one module for each source."""
