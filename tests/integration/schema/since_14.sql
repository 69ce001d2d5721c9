CREATE TABLE app.comp (a text COMPRESSION pglz, m int4multirange);
CREATE TYPE app.mrange AS RANGE (subtype = integer, multirange_type_name = app.my_multi);
CREATE TABLE app.multi (r app.mrange, m app.my_multi, ms app.my_multi[]);
