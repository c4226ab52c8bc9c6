"""Where a key's text can be had: one module a source, each behind a function of its own.

They answer text as a ``Secret`` and raise ``CredentialError``; what the text means is for ``credentials``.
"""
