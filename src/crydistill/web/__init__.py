"""The web page: a student and the C library, in WebAssembly, in one HTML file."""
