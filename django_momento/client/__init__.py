"""The client of Momento: operations, calls, transport, and the policies of retry, refresh and breaker."""
