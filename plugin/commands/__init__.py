"""Commands that this package adds to ``hs2s``; none imports FiftyOne before it runs."""
