<?php
// PHP's pgsql extension and PDO. Prints a transcript (see compare.py).

function text($v): string
{
    if (is_resource($v)) $v = stream_get_contents($v);
    if (is_string($v)) {
        return strlen($v) > 400 ? 'string of ' . strlen($v) . ', sum ' . crc32($v)
            : addcslashes($v, "\0..\37\177..\377");
    }
    return json_encode($v, JSON_PARTIAL_OUTPUT_ON_ERROR);
}

function say(...$values): void { echo '  ', implode(' ', array_map('text', $values)), "\n"; }

function fault_of(callable $action): void
{
    try {
        $action();
        say('no error');
    } catch (PDOException $e) {
        say(get_class($e), $e->getCode(), $e->getMessage());
    }
}

function pdo(string $more = '', string $password = 'alice-secret', array $options = []): PDO
{
    return new PDO('pgsql:host=localhost;dbname=shop;port=' . getenv('PGPORT') . $more, 'alice',
        $password, $options + [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function check(string $name, callable $body): void
{
    echo "check $name\n";
    try {
        $body();
        echo "pass\n";
    } catch (Throwable $e) {
        echo 'FAIL ', text((string) $e), "\n";
    }
}

check('PDO: TLS modes and logins', function () {
    foreach (['disable', 'prefer', 'require', 'verify-full'] as $mode) {
        $d = pdo(";sslmode=$mode;sslrootcert=" . getenv('CONFORMANCE_CA'));
        say($mode, $d->query('select 1 as one')->fetchAll(), $d->getAttribute(PDO::ATTR_SERVER_VERSION));
    }
    fault_of(fn () => pdo(';sslmode=disable', 'wrong'));
});

foreach (['native' => [], 'emulated' => [PDO::ATTR_EMULATE_PREPARES => true],
    'unprepared' => [PDO::PGSQL_ATTR_DISABLE_PREPARES => true]] as $name => $options) {
    check("PDO: statements, $name", function () use ($options) {
        $d = pdo('', 'alice-secret', $options);
        $d->exec('create temp table t (a int primary key, b text not null, c bytea)');
        $s = $d->prepare('insert into t values (?, ?, ?)');
        for ($i = 0; $i < 8; $i++) {
            $s->bindValue(1, $i, PDO::PARAM_INT);
            $s->bindValue(2, "it's \\ é");
            $s->bindValue(3, "\0\xff", PDO::PARAM_LOB);
            $s->execute();
        }
        $s = $d->prepare('select *, :a::int + 1 as n from t where a < :b');
        for ($i = 0; $i < 3; $i++) {
            $s->execute(['a' => $i, 'b' => 2]);
            foreach ($s->fetchAll(PDO::FETCH_NUM) as $row) say(...$row);
        }
        say($s->getColumnMeta(0)['native_type'], $s->rowCount());
        foreach (['selec', 'select * from nowhere', "insert into t values (1, 'again')",
            'select 1/0'] as $sql) {
            fault_of(fn () => $d->exec($sql));
            fault_of(fn () => $d->prepare($sql)->execute());
        }
        $d->beginTransaction();
        fault_of(fn () => $d->exec('select 1/0'));
        fault_of(fn () => $d->query('select 1'));
        $d->rollBack();
        $scroll = $d->prepare('select g from generate_series(1, 9) g',
            [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
        $d->beginTransaction();
        $scroll->execute();
        say($scroll->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST));
        say($scroll->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_ABS, 3));
        $d->commit();
        say($d->query("select repeat('z', 3000000)")->fetchColumn());
    });
}

check('PDO: COPY, large objects, notifications', function () {
    $d = pdo();
    $d->exec('create temp table t (a int, b text)');
    say($d->pgsqlCopyFromArray('t', array_map(fn ($i) => "$i\tvalue $i", range(1, 2000))));
    say(count($d->pgsqlCopyToArray('t')), $d->pgsqlCopyToFile('t', 'copied'));
    say($d->pgsqlCopyFromFile('t', 'copied'));
    fault_of(fn () => $d->pgsqlCopyFromArray('t', ["bad\n"]));
    $d->beginTransaction();
    $id = $d->pgsqlLOBCreate();
    $o = $d->pgsqlLOBOpen($id, 'w');
    fwrite($o, str_repeat('abc', 50000));
    fclose($o);
    say($d->pgsqlLOBOpen($id, 'r'));
    $d->pgsqlLOBUnlink($id);
    $d->commit();
    $d->exec('listen news');
    pdo()->exec("notify news, 'hello'");
    $n = $d->pgsqlGetNotify(PDO::FETCH_ASSOC, 20000);
    say($n['message'], $n['payload']);
});

check('pgsql', function () {
    $c = pg_connect('dbname=shop');
    say(pg_parameter_status($c, 'server_version'), pg_version($c)['protocol'] ?? '');
    say(pg_fetch_all(pg_query_params($c, 'select $1::int + 1 as n, $2::text', [1, "it's"])));
    pg_prepare($c, 'add', 'select $1::int + 1 as n');
    for ($i = 0; $i < 7; $i++) say(pg_fetch_all(pg_execute($c, 'add', [$i])));
    pg_send_query($c, "select 1; select 2; select 1/0; select 4");
    while ($r = pg_get_result($c)) {
        say(pg_result_status($r), pg_result_error_field($r, PGSQL_DIAG_SQLSTATE), pg_num_rows($r));
    }
    pg_query($c, "do $$ begin raise notice 'seen'; end $$");
    say(pg_last_notice($c));
    pg_query($c, 'create temp table t (a int, b text)');
    say(pg_insert($c, 't', ['a' => 1, 'b' => "x'y"]), pg_select($c, 't', ['a' => 1]));
    say(pg_copy_from($c, 't', ["2\ttwo\n", "3\t\\N\n"]), pg_copy_to($c, 't'));
    pg_query($c, 'begin');
    $id = pg_lo_create($c);
    $o = pg_lo_open($c, $id, 'w+');
    say(pg_lo_write($o, str_repeat('abc', 50000)), pg_lo_seek($o, 10), pg_lo_tell($o));
    say(pg_lo_read($o, 1000), pg_lo_truncate($o, 5), pg_lo_close($o), pg_lo_export($c, $id, 'object'));
    pg_lo_unlink($c, $id);
    pg_query($c, 'commit');
    pg_query($c, 'listen news');
    pg_query($c, "notify news, 'own'");
    say(pg_get_notify($c)['payload'] ?? null, pg_ping($c), pg_transaction_status($c));
    pg_query($c, 'set statement_timeout = 50');
    say(@pg_query($c, 'select pg_sleep(30)'), pg_last_error($c));
    pg_send_query($c, 'set statement_timeout = 0; select pg_sleep(34)');
    say(pg_cancel_query($c));
    say(pg_fetch_all(pg_query($c, "select 'still there'")));
});

echo "end\n";
