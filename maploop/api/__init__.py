"""What stands between the server and every request: who a browser tab works as, and who may ask at all."""
