"""A site with users and Django's admin that includes the status page as its documentation says."""
