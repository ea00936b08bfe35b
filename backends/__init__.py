"""The servers: how each is started, reached, killed, paused, cut off and stopped.

`<name>.py` is the harness's side, `<name>_client.py` the worker's, which alone needs the driver.
"""
