"""What a trained state answers, what the answers cost, and how its gates decide."""
