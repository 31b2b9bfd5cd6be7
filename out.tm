ERROR:  42P07: relation "p" already exists
CREATE TABLE
   conname   |                                    pg_get_constraintdef                                     | conkey 
-------------+---------------------------------------------------------------------------------------------+--------
 c_arr_check | CHECK ((arr[1] > 1))                                                                        | {8}
 c_b_check   | CHECK ((b IS TRUE))                                                                         | {6}
 c_b_check1  | CHECK ((b))                                                                                 | {6}
 c_b_check2  | CHECK ((NOT b))                                                                             | {6}
 c_b_check3  | CHECK ((b = true))                                                                          | {6}
 c_b_check4  | CHECK ((b IS NOT UNKNOWN))                                                                  | {6}
 c_check     | CHECK (((id > 0) AND (p <> 3)))                                                             | {1,2}
 c_check1    | CHECK ((                                                                                   +| {1,3}
             | CASE                                                                                       +| 
             |     WHEN (id > 1) THEN true                                                                +| 
             |     ELSE (COALESCE(n, (1)::numeric) = (1)::numeric)                                        +| 
             | END))                                                                                       | 
 c_check2    | CHECK (((upper(tt) = tt) AND ("extract"('year'::text, d) = (2000)::numeric)))               | {5,9}
 c_check3    | CHECK (((id IS NOT NULL) AND (b IS NOT FALSE)))                                             | {1,6}
 c_check4    | CHECK ((((id)::text = '1'::text) AND ((n)::integer = 1)))                                   | {1,3}
 c_check5    | CHECK (((id = 1) AND (p = 2)))                                                              | {1,2}
 c_check6    | CHECK ((true))                                                                              | 
 c_d_check   | CHECK ((d > '2020-01-01'::date))                                                            | {5}
 c_d_check1  | CHECK ((d < (now())::date))                                                                 | {5}
 c_f_check   | CHECK (((f > (1.5)::double precision) AND ((- f) < (3)::double precision)))                 | {10}
 c_f_check1  | CHECK (((f = (1)::double precision) OR (f = (2)::double precision)))                        | {10}
 c_i8_check  | CHECK (((i8 >= 1) AND (i8 <= 10)))                                                          | {7}
 c_id_check  | CHECK ((NOT (id = 5)))                                                                      | {1}
 c_id_check1 | CHECK (((id + 1) > (2 * (id - 1))))                                                         | {1}
 c_id_check2 | CHECK ((NULLIF(id, 1) IS DISTINCT FROM GREATEST(id, 2)))                                    | {1}
 c_id_check3 | CHECK ((NOT ((id >= 1) AND (id <= 2))))                                                     | {1}
 c_id_check4 | CHECK ((id = '-1'::integer))                                                                | {1}
 c_id_check5 | CHECK ((((id % 2) = 0) AND ((@ id) > 0)))                                                   | {1}
 c_id_check6 | CHECK ((id = ANY (ARRAY[1, 2, 3])))                                                         | {1}
 c_id_check7 | CHECK (((id <> 1) AND (id <> 2)))                                                           | {1}
 c_id_check8 | CHECK ((id = 5))                                                                            | {1}
 c_iv_check  | CHECK ((iv > '1 day'::interval))                                                            | {12}
 c_j_check   | CHECK ((((j ->> 'a'::text) = 'b'::text) AND (j ? 'x'::text)))                               | {13}
 c_n_check   | CHECK ((n > (1)::numeric))                                                                  | {3}
 c_n_check1  | CHECK ((n > (0)::numeric))                                                                  | {3}
 c_n_check2  | CHECK ((n = 1.50))                                                                          | {3}
 c_p_fkey    | FOREIGN KEY (p) REFERENCES p(id)                                                            | {2}
 c_t_check   | CHECK ((((t)::text <> 'x'::text) AND (((t)::text = 'a'::text) OR ((t)::text = 'b'::text)))) | {4}
 c_t_check1  | CHECK (((length((t)::text) > 2) OR (t IS NULL)))                                            | {4}
 c_t_check2  | CHECK ((((t)::text ~~ 'a%'::text) AND ((t)::text ~ 'x'::text)))                             | {4}
 c_ts_check  | CHECK ((ts > '2020-01-01 00:00:00+00'::timestamp with time zone))                           | {11}
 c_ts_check1 | CHECK ((timezone('UTC'::text, ts) > '2020-01-01 00:00:00'::timestamp without time zone))    | {11}
 c_tt_check  | CHECK ((tt = ANY (ARRAY['a'::text, 'b'::text])))                                            | {9}
 c_tt_check1 | CHECK (((tt <> 'q'::text) AND (tt <> 'r'::text)))                                           | {9}
 c_tt_check2 | CHECK (((tt || 'a'::text) = 'ba'::text))                                                    | {9}
 c_tt_check3 | CHECK (("substring"(tt, 1, 2) = 'a'::text))                                                 | {9}
 c_tt_check4 | CHECK ((tt ~ '^(?:abc)$'::text))                                                            | {9}
 c_tt_check5 | CHECK (("position"(tt, 'a'::text) > 0))                                                     | {9}
 c_tt_check6 | CHECK ((btrim(tt) = 'a'::text))                                                             | {9}
 c_tt_check7 | CHECK ((tt > 'a'::text))                                                                    | {9}
 c_tt_check8 | CHECK (((tt ~~* 'a'::text) AND (tt !~~ 'b'::text)))                                         | {9}
 zz          | CHECK ((id < 100))                                                                          | {1}
(48 rows)

ERROR:  0A000: function pg_partition_ancestors is not supported here
ERROR:  0A000: function pg_partition_ancestors is not supported here
ERROR:  23514: new row for relation "c" violates check constraint "c_b_check"
DETAIL:  Failing row contains (-1, 7, null, null, null, null, null, null, null, null, null, null, null).
SCHEMA NAME:  public
TABLE NAME:  c
CONSTRAINT NAME:  c_b_check
ERROR:  23514: new row for relation "c" violates check constraint "c_b_check"
DETAIL:  Failing row contains (200, -1, null, null, null, null, null, null, null, null, null, null, null).
SCHEMA NAME:  public
TABLE NAME:  c
CONSTRAINT NAME:  c_b_check
ERROR:  42601: syntax error at or near "select"
LINE 1: create table e1(a int check (select 1));
                                     ^
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "e1" already exists
ERROR:  42P07: relation "sq" already exists
ERROR:  42809: referenced relation "sq" is not a table
ERROR:  42601: misplaced DEFERRABLE clause
ERROR:  0A000: a DEFERRABLE unique constraint is not supported
ERROR:  42601: constraint declared INITIALLY DEFERRED must be DEFERRABLE
ERROR:  42601: syntax error at or near "valid"
LINE 1: create table e1e(a int check (a > 1) not valid);
                                                 ^
ERROR:  42P07: relation "e1f" already exists
                Table "public.e1f"
 Column |  Type   | Collation | Nullable | Default 
--------+---------+-----------+----------+---------
 a      | integer |           |          | 
Check constraints:
    "e1f_a_check" CHECK (a > 1)

ERROR:  42601: syntax error at or near "valid"
LINE 1: create table e1g(a int references p not valid);
                                                ^
ERROR:  42P01: relation "e1e" does not exist
ERROR:  42830: there is no unique constraint matching given keys for referenced table "p"
ERROR:  42703: column "b" referenced in foreign key constraint does not exist
ERROR:  42601: column list with SET NULL/SET DEFAULT is only supported for ON DELETE actions
LINE 1: create table e1h(a int, foreign key (a) references p on dele...
        ^
ERROR:  0A000: MATCH PARTIAL not yet implemented
ERROR:  42P07: relation "e1i" already exists
ERROR:  0A000: function pg_partition_ancestors is not supported here
  oid  |   conname   | connamespace | contype | condeferrable | condeferred | convalidated | conrelid | contypid | conindid | conparentid | confrelid | confupdtype | confdeltype | confmatchtype | conislocal | coninhcount | connoinherit | conkey | confkey | conpfeqop | conppeqop | conffeqop | confdelsetcols | conexclop | conbin 
-------+-------------+--------------+---------+---------------+-------------+--------------+----------+----------+----------+-------------+-----------+-------------+-------------+---------------+------------+-------------+--------------+--------+---------+-----------+-----------+-----------+----------------+-----------+--------
 16395 | e1i_a_fkey  |         2200 | f       | t             | t           | t            |    16394 |        0 |    16385 |           0 |     16384 | c           | d           | f             | t          |           0 | t            | {1}    | {1}     | {96}      | {96}      | {96}      |                |           | 
 16396 | e1i_a_fkey1 |         2200 | f       | f             | f           | t            |    16394 |        0 |    16385 |           0 |     16384 | a           | n           | s             | t          |           0 | t            | {1}    | {1}     | {96}      | {96}      | {96}      |                |           | 
 16397 | e1i_a_fkey2 |         2200 | f       | f             | f           | t            |    16394 |        0 |    16387 |           0 |     16384 | a           | a           | s             | t          |           0 | t            | {1}    | {2}     | {96}      | {96}      | {96}      |                |           | 
(3 rows)

