"""FiftyOne labels <-> masks: the fields that hold them, which label is which object, prompts."""
