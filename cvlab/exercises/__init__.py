"""Right answers, trial inputs and classic mistakes of each chapter's exercises."""
