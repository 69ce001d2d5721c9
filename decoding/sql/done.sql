SELECT pg_drop_replication_slot('pgsluice_regress');
