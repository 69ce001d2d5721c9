-- One visitor, for pgbench: an order with its items, stock, a status change, an event; now and then a
-- new customer, a cancelled order, a corrected product.
\set customer random(1, 60000)
\set product random(1, 3000)
\set other random(1, 3000)
\set old random(1, 300000)
\set dice random(1, 100)
BEGIN;
INSERT INTO shop.orders (customer, note) SELECT id, 'live' FROM shop.customers WHERE id = :customer
    RETURNING id AS order_id \gset
INSERT INTO shop.order_items VALUES (:order_id, 1, :product, 1, 9.99), (:order_id, 2, :other, 2, 5);
UPDATE shop.products SET stock = stock - 1 WHERE id = :product;
INSERT INTO shop.events (at, kind, visitor, payload)
    VALUES (clock_timestamp(), 'order', '192.0.2.1', jsonb_build_object('order', :order_id));
COMMIT;
UPDATE shop.orders SET status = 'shipped', note = NULL WHERE id = :old;
\if :dice <= 10
DELETE FROM shop.orders WHERE id = :old;
\elif :dice <= 15
INSERT INTO shop.customers (name, mail)
    VALUES ('New customer', md5(random()::text) || '@example.com');
\elif :dice <= 20
UPDATE shop.products SET title = title || '*', price = price + 0.01 WHERE id = :other;
\endif
