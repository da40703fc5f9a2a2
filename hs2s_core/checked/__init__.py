"""Values from outside, checked by type and range: of settings and of calls."""
