"""A whole night on one machine: the local vendor and a real Airflow, started, watched and stopped by process id.

Nothing here is used in production; nothing else may import it but the command line and the tests.
"""
