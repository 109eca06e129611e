"""HTTP as it arrives: listening, connections and their limits, requests begun and answers sent."""
