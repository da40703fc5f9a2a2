"""The paper's networks, HS2S, S2S, Bi-HS2S and RAFT-HS2S, and the parts that they share."""
