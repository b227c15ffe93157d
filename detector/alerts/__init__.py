"""5 · Who is told: `Signal`s enter; incidents with evidence leave, and stay on disk until the hub has them."""
