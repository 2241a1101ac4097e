"""Update services on this machine: strict fakes, written from what the services are known to say, for tests and the demo.

Each refuses what the real one refuses, in the real one's way, and keeps what it was asked.
"""
