# ruby-pg: libpq with type maps, pipelines, COPY. Prints a transcript (see compare.py).
require 'pg'

def text(v)
  s = v.is_a?(String) ? v : v.inspect
  s = "string of #{s.bytesize}, sum #{s.sum(32)}" if s.bytesize > 400
  s.b.inspect[1..-2]
end

def say(*values)
  puts '  ' + values.map { |v| text(v) }.join(' ')
end

def fault_of
  yield
  say 'no error'
rescue PG::Error => e
  r = e.result
  fields = r && %w[SEVERITY SQLSTATE MESSAGE_PRIMARY MESSAGE_DETAIL MESSAGE_HINT STATEMENT_POSITION
                   CONTEXT SCHEMA_NAME TABLE_NAME COLUMN_NAME CONSTRAINT_NAME SOURCE_FUNCTION]
           .map { |f| r.error_field(PG.const_get('PG_DIAG_' + f)) }
  say e.class, fields || e.message
end

def check(name)
  puts 'check ' + name
  c = PG.connect
  begin
    yield c
    puts 'pass'
  rescue StandardError => e
    puts 'FAIL ' + text("#{e.class}: #{e.message}")
    warn e.full_message
  end
  c.close unless c.finished?
  $stdout.flush
end

check 'TLS modes and logins' do
  ca = ENV['CONFORMANCE_CA']
  %w[disable prefer require verify-full].each do |mode|
    n = PG.connect(host: 'localhost', sslmode: mode, sslrootcert: ca)
    say mode, n.ssl_in_use?, n.exec('select 1').values
    n.close
  end
  fault_of { PG.connect(password: 'wrong', sslmode: 'disable') }
  say PG::Connection.ping
end

check 'types, in text and binary' do |c|
  sql = "select 1::int4, 2::int8, 1.5::float8, 'x'::text, true, null::int, '\\x00ff'::bytea, " \
        "array[1,2,null], timestamptz '2024-02-29 12:00+00', date '2024-02-29', " \
        "'{\"a\":1}'::json, 1.50::numeric, inet '10.0.0.1'"
  say c.exec(sql).values, c.exec_params(sql, [], 1).values
  c.type_map_for_results = PG::BasicTypeMapForResults.new(c)
  say c.exec(sql).values, c.exec_params(sql, [], 1).values
  c.type_map_for_queries = PG::BasicTypeMapForQueries.new(c)
  say c.exec_params('select $1, $2, $3::int[]', [1, 'text', [1, 2]]).values
  r = c.exec('select 1 as a, 2 as b')
  say r.fields, r.ftype(0), r.fformat(0), r.cmd_status, r.cmd_tuples, r.to_a
end

check 'errors and transactions' do |c|
  c.exec 'create temp table t (a int primary key, b text not null)'
  ['selec', 'select * from nowhere', 'insert into t values (1)', 'select 1/0', "select 'x'::int"]
    .each { |sql| fault_of { c.exec sql } }
  say c.exec('').result_status
  c.transaction do
    c.exec "insert into t values (1, 'one')"
    c.exec 'savepoint s'
    fault_of { c.exec_params('insert into t values ($1, $2)', [1, 'again']) }
    say c.transaction_status
    c.exec 'rollback to s'
  end
  fault_of { c.transaction { c.exec 'selec' } }
  say c.exec('select * from t').values
end

check 'prepared statements' do |c|
  c.prepare 'add', 'select $1::int + 1 as n'
  d = c.describe_prepared 'add'
  say d.nparams, d.paramtype(0), d.fields
  7.times { |i| say c.exec_prepared('add', [i]).values }
  fault_of { c.exec_prepared 'unknown' }
  fault_of { c.prepare 'add', 'select 1' }
  fault_of { c.prepare 'broken', 'selec' }
  c.exec 'deallocate add'
  fault_of { c.exec_prepared 'add', [1] }
end

check 'cursors, rows one by one, pipelines' do |c|
  c.transaction do
    c.exec 'declare cur cursor for select generate_series(1, 10)'
    say c.describe_portal('cur').fields, c.exec('fetch 3 from cur').values
  end
  c.send_query 'select generate_series(1, 100)'
  c.set_single_row_mode
  sum = 0
  c.get_result.stream_each_row { |row| sum += row[0].to_i }
  c.get_result
  say sum
  c.enter_pipeline_mode
  5.times { |i| c.send_query_params 'select 10 / (3 - $1::int)', [i] }
  c.pipeline_sync
  6.times do
    while (r = c.get_result)
      say r.result_status, r.ntuples, r.error_field(PG::PG_DIAG_SQLSTATE)
      break if r.result_status == PG::PGRES_PIPELINE_SYNC
    end
  end
  c.exit_pipeline_mode
end

check 'COPY both ways' do |c|
  c.exec 'create temp table t (a int, b text)'
  c.copy_data('copy t from stdin') { 20_000.times { |i| c.put_copy_data "#{i}\tvalue #{i}\n" } }
  enc = PG::TextEncoder::CopyRow.new
  c.copy_data('copy t from stdin', enc) { c.put_copy_data [1, "tab\tand\n"] }
  rows = 0
  c.copy_data('copy t to stdout', PG::TextDecoder::CopyRow.new) { rows += 1 while c.get_copy_data }
  say rows
  fault_of { c.copy_data('copy t from stdin') { c.put_copy_data "bad\n" } }
  begin
    c.copy_data('copy t from stdin') { raise 'the program\'s own' }
  rescue StandardError => e
    say e.class
  end
  say c.exec('select count(*) from t').values
end

check 'notifications, notices, cancel and timeout' do |c|
  c.set_notice_processor { |m| say 'notice', m }
  c.exec "do $$ begin raise notice 'seen'; raise warning 'too'; end $$"
  c.exec 'listen news'
  other = PG.connect
  other.exec "notify news, 'hello'"
  say(c.wait_for_notify(20) { |channel, pid, payload| say channel, payload, pid == other.backend_pid })
  c.send_query 'select pg_sleep(31)'
  loop do
    n = other.exec("select count(*) from pg_stat_activity where wait_event = 'PgSleep' " \
                   "and query = 'select pg_sleep(31)'").getvalue(0, 0)
    break if n == '1'
  end
  other.close
  say c.cancel
  fault_of { c.get_last_result }
  c.exec 'set statement_timeout = 50'
  fault_of { c.exec 'select pg_sleep(30)' }
  say c.exec("select 'still there'").values
end

check 'large objects' do |c|
  c.transaction do
    id = c.lo_creat
    fd = c.lo_open(id, PG::INV_WRITE | PG::INV_READ)
    say c.lo_write(fd, 'abc' * 50_000), c.lo_lseek(fd, 10, PG::SEEK_SET), c.lo_tell(fd)
    say c.lo_read(fd, 100_000)
    c.lo_truncate(fd, 5)
    c.lo_close(fd)
    c.lo_export(id, 'object')
    c.lo_unlink(id)
    say File.binread('object')
  end
  fault_of { c.lo_unlink(1) }
end

check 'big values' do |c|
  big = ("\x00\xff".b * 1_000_000)
  r = c.exec_params('select $1::bytea', [{ value: big, format: 1 }], 1)
  say r.getvalue(0, 0) == big
  say c.exec("select repeat('é', 2000000)").getvalue(0, 0)
end

check 'a session that is ended' do |c|
  other = PG.connect
  say c.exec_params('select pg_terminate_backend($1, 10000)', [other.backend_pid]).values
  fault_of { other.exec 'select 1' }
  say other.status == PG::CONNECTION_BAD
  other.reset
  say other.exec('select 1').values
  other.close
end

puts 'end'
