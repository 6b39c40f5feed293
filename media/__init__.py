"""The real-time loop of one media worker: hearing, speaking, the face and the connection."""
