"""The outside services in which people queue and review: one client each, made from an Airflow connection.

Both ends use them (queue sources and review surfaces). A client knows its service's limits and keeps them; it decides
nothing and knows no ledger.
"""
