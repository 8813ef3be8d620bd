"""Does self-distillation on the collected images help? The arms, the controls, the tables."""
