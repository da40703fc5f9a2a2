"""Tests of hs2s_core.media."""
