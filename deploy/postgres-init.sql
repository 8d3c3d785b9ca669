-- The ledger is a database of its own: Airflow's tasks never touch Airflow's metadata database, and backups differ.
CREATE DATABASE overnight OWNER overnight;
