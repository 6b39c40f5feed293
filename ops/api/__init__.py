"""The HTTP interface: everything that a program or a browser asks of us. It never loads the media stack."""
