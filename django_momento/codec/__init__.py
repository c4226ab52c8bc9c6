"""Values to bytes and back: serializers, compressors, signatures and encryption."""
