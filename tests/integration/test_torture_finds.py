"""What the torture test found, each as small as it could be made."""

from pgtest import compare


def test_array_of_an_extensions_type(pair, sluice):
    """The extension is created too where only an array of its type is used."""
    pair.source.script("CREATE SCHEMA s; CREATE EXTENSION hstore;"
                       "CREATE TABLE s.t (id int PRIMARY KEY, h hstore[]);"
                       """INSERT INTO s.t VALUES (1, ARRAY['a=>1'::hstore, NULL]);""")
    sluice(pair, objects=[{"schema": "s"}]).sync()
    compare.assert_equal(pair.source, pair.destination)
