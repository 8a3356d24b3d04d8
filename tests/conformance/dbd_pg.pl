# DBD::Pg: placeholders, server-side prepares, COPY, asynchronous queries. Prints a transcript.
use strict;
use warnings;
use DBI qw(:sql_types);
use DBD::Pg qw(:pg_types :async);
$| = 1;

my %base = (RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1);

sub text {
    my ($v) = @_;
    return 'undef' unless defined $v;
    return '[' . join(', ', map { text($_) } @$v) . ']' if ref $v eq 'ARRAY';
    return '{' . join(', ', map { "$_: " . text($v->{$_}) } sort keys %$v) . '}' if ref $v eq 'HASH';
    return 'string of ' . length($v) . ', sum ' . unpack('%32C*', $v) if length($v) > 400;
    $v =~ s/([^ -~])/sprintf('\\x{%x}', ord $1)/ge;
    return $v;
}
sub say { print '  ' . join(' ', map { text($_) } @_) . "\n" }

sub fault_of {
    my ($action, $d) = @_;
    if (eval { $action->(); 1 }) { say('no error') }
    else { say($DBI::err, $DBI::state, $DBI::errstr) }
}

sub connected { DBI->connect('dbi:Pg:' . ($_[0] // ''), $_[1] // '', $_[2] // '', {%base}) }

sub check {
    my ($name, $body) = @_;
    print "check $name\n";
    if (eval { my $d = connected(); $body->($d); $d->disconnect; 1 }) { print "pass\n" }
    else { my $e = $@; print 'FAIL ' . text($e) . "\n"; warn $e }
}

check 'TLS modes and logins' => sub {
    for my $mode (qw(disable prefer require verify-full)) {
        my $d = connected("host=localhost;sslmode=$mode;sslrootcert=$ENV{CONFORMANCE_CA}");
        say($mode, $d->{pg_server_version}, $d->ping, $d->selectall_arrayref('select 1'));
        $d->disconnect;
    }
    fault_of(sub { connected('sslmode=disable', 'alice', 'wrong') });
};

check 'types' => sub {
    my $d = shift;
    my $s = $d->prepare("select 1::int4, 2::int8, 1.5::float8, 'x'::text, true, null::int, "
        . "'\\x00ff'::bytea, array[1,2,null], array['a','b,c'], 1.50::numeric, '{\"a\":1}'::json");
    $s->execute;
    say($s->{NAME}, $s->{TYPE}, $s->{pg_type}, $s->fetchrow_arrayref);
    $s = $d->prepare('select ?::int, ?::text, ?::bytea, ?::int[]');
    $s->bind_param(1, 7, SQL_INTEGER);
    $s->bind_param(2, "it's \\");
    $s->bind_param(3, "\0\xff", { pg_type => PG_BYTEA });
    $s->bind_param(4, [1, 2]);
    $s->execute;
    say($s->fetchrow_arrayref);
    say($d->quote("it's \\"), $d->quote_identifier('a "b"'));
};

check 'errors and transactions' => sub {
    my $d = shift;
    $d->do('create temp table t (a int primary key, b text not null)');
    for my $sql ('selec', 'select * from nowhere', 'insert into t values (1)', 'select 1/0') {
        fault_of(sub { $d->do($sql) });
    }
    $d->begin_work;
    $d->do("insert into t values (1, 'one')");
    $d->pg_savepoint('s');
    fault_of(sub { $d->do('insert into t values (?, ?)', undef, 1, 'again') });
    say($d->ping, $d->state);
    $d->pg_rollback_to('s');
    $d->pg_release('s');
    $d->commit;
    $d->{AutoCommit} = 0;
    $d->{ReadOnly} = 1;
    fault_of(sub { $d->do('delete from t') });
    $d->rollback;
    $d->{ReadOnly} = 0;
    $d->{AutoCommit} = 1;
    say($d->selectall_arrayref('select * from t', { Slice => {} }));
    say($d->do('select 1; select 2'), $d->do(''));
};

check 'prepared statements' => sub {
    my $d = shift;
    for my $server (0, 1) {
        $d->{pg_server_prepare} = $server;
        for my $late (0, 2) {
            $d->{pg_switch_prepared} = $late;
            my $s = $d->prepare('select ?::int + 1, $$?$$');
            for my $i (1 .. 5) { $s->execute($i); say($s->fetchall_arrayref) }
        }
    }
    my $s = $d->prepare('select $1::int * $2::int', { pg_prepare_now => 1 });
    $s->execute(6, 7);
    say($s->fetchall_arrayref);
    $s = $d->prepare('select :a::int + :b::int');
    $s->bind_param(':a', 1);
    $s->bind_param(':b', 2);
    $s->execute;
    say($s->fetchall_arrayref);
    fault_of(sub { $d->prepare('selec ?', { pg_prepare_now => 1 }) });
    my @status;
    my $i = $d->prepare('select 10 / ?::int');
    $i->{RaiseError} = 0;
    $i->execute_array({ ArrayTupleStatus => \@status }, [5, 0, 2]);
    say(map { ref $_ ? $_->[0] : $_ } @status);
};

check 'COPY both ways' => sub {
    my $d = shift;
    $d->do('create temp table t (a int, b text)');
    $d->do('copy t from stdin');
    $d->pg_putcopydata("$_\tvalue $_\n") for 1 .. 20000;
    say($d->pg_putcopyend);
    $d->do('copy (select * from t order by a) to stdout');
    my ($rows, $line) = (0, '');
    $rows++ while $d->pg_getcopydata(\$line) >= 0;
    say($rows);
    $d->do('copy t from stdin');
    fault_of(sub { $d->pg_putcopydata("bad\n"); $d->pg_putcopyend });
    say($d->selectrow_array('select count(*) from t'));
};

check 'asynchronous queries, cancel and notifications' => sub {
    my $d = shift;
    $d->do('select pg_sleep(0.01)', { pg_async => PG_ASYNC });
    say($d->pg_result);
    $d->do('select pg_sleep(31)', { pg_async => PG_ASYNC });
    my $other = connected();
    1 until $other->selectrow_array("select count(*) from pg_stat_activity where "
        . "query = 'select pg_sleep(31)' and wait_event = 'PgSleep'");
    say($d->pg_cancel);
    say($d->selectrow_array("select 'still there'"));
    $d->do('set statement_timeout = 50');
    fault_of(sub { $d->do('select pg_sleep(30)') });
    my @seen;
    local $SIG{__WARN__} = sub { push @seen, $_[0] };
    $d->{PrintWarn} = 1;
    $d->do("do \$\$ begin raise notice 'seen'; raise warning 'too'; end \$\$");
    say(\@seen);
    $d->do('listen news');
    $other->do("notify news, 'hello'");
    my $n;
    until ($n = $d->pg_notifies) { $d->ping }
    say($n->[0], $n->[2], $n->[1] == $other->{pg_pid});
    $other->disconnect;
};

check 'large objects' => sub {
    my $d = shift;
    $d->begin_work;
    my $id = $d->pg_lo_creat($d->{pg_INV_READ} | $d->{pg_INV_WRITE});
    my $fd = $d->pg_lo_open($id, $d->{pg_INV_READ} | $d->{pg_INV_WRITE});
    say($d->pg_lo_write($fd, 'abc' x 50000, 150000), $d->pg_lo_lseek($fd, 10, 0));
    my $buffer = '';
    say($d->pg_lo_read($fd, $buffer, 1000), $buffer, $d->pg_lo_tell($fd));
    say($d->pg_lo_truncate($fd, 5), $d->pg_lo_close($fd));
    say($d->pg_lo_export($id, 'object'));
    say($d->pg_lo_unlink($id));
    $d->commit;
};

check 'catalogue and big values' => sub {
    my $d = shift;
    $d->do('create table t (a int primary key, b text not null); create index i on t (b)');
    say($d->column_info(undef, 'public', 't', '%')->fetchall_arrayref);
    say($d->primary_key(undef, 'public', 't'));
    say($d->statistics_info(undef, 'public', 't', 0, 0)->fetchall_arrayref([5, 8]));
    say($d->selectrow_array('select ?::text', undef, 'x' x 3000000));
    say($d->selectrow_array("select repeat('y', 5000000)"));
};

check 'a session that is ended' => sub {
    my $d = shift;
    my $other = connected();
    say($d->selectrow_array('select pg_terminate_backend(?, 10000)', undef, $other->{pg_pid}));
    fault_of(sub { $other->do('select 1') });
    say($other->ping);
};

print "end\n";
