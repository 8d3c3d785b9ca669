# Overnight on the official Airflow image, non-root, pinned. Untested on an engine here: see docs/how-to/docker.md.
FROM apache/airflow:3.3.2-python3.11

COPY --chown=airflow:root requirements.txt requirements-cluster.txt /opt/overnight/
RUN pip install --no-cache-dir -r /opt/overnight/requirements.txt -r /opt/overnight/requirements-cluster.txt

COPY --chown=airflow:root bin /opt/overnight/bin
COPY --chown=airflow:root dags /opt/overnight/dags
COPY --chown=airflow:root include /opt/overnight/include
COPY --chown=airflow:root plugins /opt/overnight/plugins

ENV OVERNIGHT_PROJECT=/opt/overnight \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/overnight/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/overnight/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    GX_ANALYTICS_ENABLED=false
WORKDIR /opt/overnight
USER 50000
