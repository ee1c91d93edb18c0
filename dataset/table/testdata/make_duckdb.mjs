// Writes parquet/duckdb-*.parquet with DuckDB 1.5.6:
//
//	npm install --ignore-scripts @duckdb/node-api@1.5.6-r.1 && node make_duckdb.mjs
import { DuckDBInstance } from '@duckdb/node-api'
import { dirname } from 'path'
import { fileURLToPath } from 'url'

const here = dirname(fileURLToPath(import.meta.url)) + '/parquet'
const db = await (await DuckDBInstance.create()).connect()
await db.run("set timezone = 'UTC'")
await db.run(`create table t as select
  (i % 2 = 0) as flag, (i - 2)::tinyint as i8, (i * -3)::smallint as i16, (i * 100000)::integer as i32,
  (i * 10000000000)::bigint as i64, (255 - i)::utinyint as u8, (18446744073709551615 - i)::ubigint as u64,
  (i + 0.5)::float as f32, (i / 7)::double as f64,
  (i * 1.25)::decimal(9,2) as d9, (i * -1.0625)::decimal(18,4) as d18, (i * 12345678901234567.8901)::decimal(38,4) as d38,
  ('9' || repeat('0', 20 + i))::decimal(38,0) as whole,
  date '1969-12-31' + i::integer as day, time '13:45:00.5' + interval (i) second as clock,
  timestamp '2024-02-29 12:00:00.123456' + interval (i) hour as at_us,
  timestamp_ms '2024-02-29 12:00:00.123' as at_ms, timestamp_ns '2024-02-29 12:00:00.123456789' as at_ns,
  timestamptz '2024-02-29 12:00:00+02' as at_tz,
  'straße ' || i as name, ('00112233-4455-6677-8899-aabbccddee0' || i)::uuid as id,
  {'speed': i::double, 'from': {'degree': (i * 90)::integer}} as wind,
  from (select case when r = 3 then null else r end as i from range(5) s(r))`)
for (const [codec, version] of [['uncompressed', 'V1'], ['snappy', 'V2'], ['gzip', 'V2'], ['zstd', 'V1'], ['brotli', 'V1'], ['lz4_raw', 'V2']])
  await db.run(`copy t to '${here}/duckdb-${codec}.parquet' (format parquet, codec '${codec}', parquet_version '${version}')`)
await db.run(`copy (select 1 as n, [1, 2] as list) to '${here}/duckdb-list.parquet' (format parquet)`)
await db.run(`copy (select 1 as n, interval 1 month as span) to '${here}/duckdb-interval.parquet' (format parquet)`)
