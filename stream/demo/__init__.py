"""What the demo streams: rendered people, photo folders, a seeded traffic plan and its ledger."""
