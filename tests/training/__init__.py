"""Tests of hs2s_core.training."""
