"""Tests of hs2s_core.models."""
