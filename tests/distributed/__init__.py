"""Airflow as a cluster: several workers and triggerers over Redis and PostgreSQL."""
