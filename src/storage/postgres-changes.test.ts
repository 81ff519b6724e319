import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { hasPostgres, newPostgresDatabase } from '../../test/support/postgres.ts';
import type { TestDatabase } from '../../test/support/postgres-cluster.ts';
import { startPostgresProxy } from '../../test/support/postgres-proxy.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import type { Database, Procedure } from './database.ts';
import { openPostgres } from './postgres.ts';
import { freshFor, longestGap, lookInterval, pruneChanges, turnInterval } from './postgres-changes.ts';

const touch: Procedure<string, void> = {
  name: 'touch',
  run: async () => undefined,
  changes: (key) => [{ topic: 'vault', key }],
};

/** What a cache hears, in order. */
function listen(database: Database): (string | undefined)[] {
  const heard: (string | undefined)[] = [];
  database.feed.subscribe('vault', (key) => heard.push(key));
  return heard;
}

describe.skipIf(!hasPostgres)('changes on PostgreSQL', () => {
  let home: TestDatabase;
  let admin: Client;
  const opened: Database[] = [];

  const open = async (clock: Clock = systemClock, url = home.socketUrl): Promise<Database> => {
    const database = await openPostgres({ clock, log: silentLog }, { url, poolSize: 3 });
    opened.push(database);
    return database;
  };
  const connect = async () => {
    const client = new Client({ connectionString: home.url });
    await client.connect();
    return client;
  };

  beforeAll(async () => {
    home = await newPostgresDatabase();
    admin = await connect();
  });

  afterAll(async () => {
    for (const database of opened) await database.close();
    await admin?.end();
    await home?.drop();
  });

  test('a change is heard by its own process before the write resolves, and by another soon', async () => {
    const [one, other] = [await open(), await open()];
    const [mine, theirs] = [listen(one), listen(other)];
    await one.write(touch, 'a');
    expect(mine).toEqual(['a']);
    await expect.poll(() => theirs).toEqual(['a']);
  });

  test('without a notification, the regular look finds the change', async () => {
    const clock = manualClock();
    const database = await open(clock);
    const heard = listen(database);
    await admin.query(`insert into changes (topic, key) values ('vault', 'quiet')`);
    clock.advance(turnInterval);
    await expect
      .poll(() => {
        clock.advance(lookInterval);
        return heard.includes('quiet');
      })
      .toBe(true);
  });

  test('a transaction that commits late is heard of, and each change once', async () => {
    const database = await open();
    const late = await connect();
    await late.query('begin');
    await late.query(`insert into changes (topic, key) values ('vault', 'late')`);
    const other = await open();
    const heard = listen(database);
    for (const key of ['b', 'c']) {
      await other.write(touch, key);
      await expect.poll(() => heard).toContain(key);
    }
    await late.query('commit');
    await expect.poll(() => heard).toContain('late');
    // Its transaction was the oldest throughout: whatever is told again would have been told by now.
    await other.write(touch, 'd');
    await expect.poll(() => heard).toContain('d');
    expect(heard).toEqual(['b', 'c', 'late', 'd']);
    await late.end();
  });

  test('what was rolled back is not told', async () => {
    const database = await open();
    const heard = listen(database);
    await admin.query(`begin; insert into changes (topic, key) values ('vault', 'undone'); rollback`);
    const failing = { ...touch, run: () => Promise.reject(new Error('no')) };
    await expect(database.write(failing, 'failed')).rejects.toThrow('no');
    await (await open()).write(touch, 'after');
    await expect.poll(() => heard).toEqual(['after']);
  });

  test('news is fresh for a bounded time from the beginning of a look', async () => {
    const clock = manualClock();
    const database = await open(clock);
    expect(database.feed.fresh()).toBe(true);
    clock.advance(freshFor - 1);
    expect(database.feed.fresh()).toBe(true);
    clock.advance(1);
    expect(database.feed.fresh()).toBe(false);
  });

  test('a look that takes longer than its news would be fresh makes nothing fresh', async () => {
    const clock = manualClock();
    const proxy = await startPostgresProxy(Number(new URL(home.url).port));
    const url = new URL(home.url);
    url.port = String(proxy.port);
    const database = await open(clock, url.href);
    const heard = listen(database);
    await admin.query(`insert into changes (topic, key) values ('vault', 'slow')`);
    // The look is on its way; when its answer comes, it is old.
    proxy.judge = (chunk) => {
      if (chunk.includes('pg_visible_in_snapshot')) clock.advance(freshFor);
      return 'pass';
    };
    clock.advance(turnInterval);
    await expect
      .poll(() => {
        if (heard.length === 0) clock.advance(lookInterval);
        return heard;
      })
      .toEqual(['slow']);
    expect(database.feed.fresh()).toBe(false);
    await database.close();
    await proxy.close();
  });

  test('after a long pause everything is forgotten before news is fresh again', async () => {
    const clock = manualClock();
    const database = await open(clock);
    const freshWhenTold: boolean[] = [];
    database.feed.subscribe('vault', (key) => {
      if (key === undefined) freshWhenTold.push(database.feed.fresh());
    });
    clock.advance(longestGap + 1);
    await expect
      .poll(() => {
        clock.advance(turnInterval);
        return database.feed.fresh();
      })
      .toBe(true);
    expect(freshWhenTold).toEqual([false]);
  });

  test('a listening connection that ends makes the news stale; a new one begins with forgetting', async () => {
    const proxy = await startPostgresProxy(Number(new URL(home.url).port));
    const url = new URL(home.url);
    url.port = String(proxy.port);
    const database = await open(systemClock, url.href);
    const heard = listen(database);
    await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where query like '%pg_current_snapshot%' and pid <> pg_backend_pid() and datname = current_database()`);
    await expect.poll(() => heard).toEqual([undefined]);
    await expect.poll(() => database.feed.fresh()).toBe(true);

    proxy.refusing = true;
    proxy.cut();
    await expect.poll(() => database.feed.fresh()).toBe(false);
    await admin.query(`insert into changes (topic, key) values ('vault', 'unheard')`);
    expect(heard).toEqual([undefined]);
    proxy.refusing = false;
    await expect.poll(() => database.feed.fresh()).toBe(true);
    expect(heard).toEqual([undefined, undefined]);
    await database.close();
    await proxy.close();
  });

  test('a connection that ends makes the news stale at once, not after the bound', async () => {
    const clock = manualClock();
    const proxy = await startPostgresProxy(Number(new URL(home.url).port));
    const url = new URL(home.url);
    url.port = String(proxy.port);
    const database = await open(clock, url.href);
    expect(database.feed.fresh()).toBe(true);
    proxy.cut();
    // The clock stands still: only the end itself can tell.
    await expect.poll(() => database.feed.fresh()).toBe(false);
    await database.close();
    await proxy.close();
  });

  test('a network that has gone silent is noticed', async () => {
    const proxy = await startPostgresProxy(Number(new URL(home.url).port));
    const url = new URL(home.url);
    url.port = String(proxy.port);
    const database = await open(systemClock, url.href);
    const heard = listen(database);
    proxy.silent = true;
    await expect.poll(() => database.feed.fresh()).toBe(false);
    proxy.silent = false;
    // The old connection is silent for good: only a new one can bring news.
    await expect.poll(() => database.feed.fresh()).toBe(true);
    expect(heard).toEqual([undefined]);
    await database.close();
    await proxy.close();
  });

  test('many writes share a notification', async () => {
    const clock = manualClock();
    const database = await open(clock);
    const listener = await connect();
    let notified = 0;
    listener.on('notification', () => {
      notified += 1;
    });
    await listener.query('listen strongroom_changes');
    for (let i = 0; i < 20; i += 1) await database.write(touch, String(i));
    clock.advance(turnInterval);
    await expect.poll(() => notified).toBe(1);
    await database.write(touch, 'another');
    await expect
      .poll(() => {
        clock.advance(turnInterval);
        return notified;
      })
      .toBe(2);
    await listener.end();
  });

  test('too many changes at once are told as "anything"', async () => {
    const database = await open();
    const heard = listen(database);
    await admin.query(
      `insert into changes (topic, key) select 'vault', i::text from generate_series(1, 10001) i`,
    );
    await expect.poll(() => heard).toEqual([undefined]);
  });

  test('old rows are removed, young ones stay', async () => {
    const database = await open();
    await admin.query(`delete from changes`);
    await admin.query(`insert into changes (made, topic, key) values
      (now() - interval '10 minutes 1 second', 'vault', 'old'), (now() - interval '9 minutes', 'vault', 'young')`);
    expect(await database.write(pruneChanges, null)).toBe(1);
    expect((await admin.query('select key from changes')).rows).toEqual([{ key: 'young' }]);
  });
});
