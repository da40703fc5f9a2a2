"""HS2S-lite and its baseline S2S-lite: the paper's idea at a size that runs on a CPU."""
