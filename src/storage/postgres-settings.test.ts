import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import {
  InvalidPostgresSettings,
  type PostgresSettings,
  parsePostgresSettings,
} from './postgres-settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-test-'));
const authority = join(folder, 'ca.pem');
writeFileSync(authority, '-----BEGIN CERTIFICATE-----\n');
afterAll(() => rmSync(folder, { recursive: true }));

const parse = (url: string, more: Partial<PostgresSettings> = {}) =>
  parsePostgresSettings({ url, poolSize: 1, ...more });

test('the parts of the URL are decoded', () => {
  const address = parse('postgres://us%40er:p%3Aw%2F@db.example:6543/my%20db');
  expect(address).toMatchObject({ host: 'db.example', port: 6543, user: 'us@er', database: 'my db' });
  expect(address.password()).toBe('p:w/');
  expect(parse('postgresql://u@[::1]/d')).toMatchObject({ host: '::1', port: 5432 });
});

test('a Unix socket is named by its folder, in the host or as a parameter', () => {
  expect(parse('postgres://u@%2Frun%2Fpg:6000/d')).toMatchObject({ host: '/run/pg', port: 6000 });
  expect(parse('postgres:///d?host=/run/pg&port=6000&user=u')).toMatchObject({ host: '/run/pg', port: 6000 });
});

const verified = { rejectUnauthorized: true, checkName: true };

test.each([
  ['postgres://u@db.example/d', verified],
  ['postgres://u@10.0.0.1/d', verified],
  // Names that only look local are not.
  ['postgres://u@localhost.example/d', verified],
  ['postgres://u@127.0.0.1.example/d', verified],
  ['postgres://u@db.example/d?sslmode=verify-full', verified],
  ['postgres://u@db.example/d?sslmode=require', verified],
  ['postgres://u@localhost/d?sslmode=require', verified],
  ['postgres://u@db.example/d?sslmode=disable', undefined],
  ['postgres://u@127.0.0.1/d', undefined],
  ['postgres://u@[::1]/d', undefined],
  ['postgres://u@%2Frun/d?sslmode=verify-full', undefined],
])('TLS for %s', (url, expected) => {
  expect(parse(url).tls).toEqual(expected);
});

test('the authority is read from its file; with it, the name may be left unchecked', () => {
  const ca = '-----BEGIN CERTIFICATE-----\n';
  expect(parse('postgres://u@db/d', { tlsCa: authority }).tls).toEqual({ ca, ...verified });
  expect(parse(`postgres://u@db/d?sslrootcert=${authority}`).tls).toEqual({ ca, ...verified });
  expect(parse('postgres://u@db/d?sslmode=verify-ca', { tlsCa: authority }).tls).toEqual({
    ca,
    rejectUnauthorized: true,
    checkName: false,
  });
});

test('verification is given up by its own setting only', () => {
  const insecure = { tlsMode: 'insecureUnverified' } as const;
  expect(parse('postgres://u@db/d', insecure).tls?.rejectUnauthorized).toBe(false);
  expect(() => parse('postgres://u@db/d?sslmode=verify-full', insecure)).toThrow(/contradicts/);
});

test.each([
  'postgres://u:hunter2@db/d?sslmode=prefer',
  'postgres://u:hunter2@db/d?sslmode=allow',
  'postgres://u:hunter2@db/d?sslmode=no-verify',
  'postgres://u:hunter2@db/d?sslmode=verify-ca',
  'postgres://u:hunter2@db/d?sslmode=disable&sslmode=verify-full',
  'postgres://u:hunter2@db/d?options=-csynchronous_commit%3Doff',
  'postgres://u:hunter2@a,b/d',
  'postgres://u:hunter2@db/',
  'postgres://:hunter2@db/d',
  'postgres://u:hunter2@/d',
  'postgres://u:hunter2%zz@db/d',
  'postgres://u:hun#ter2@db/d',
  'postgres://u:hunter2@db:99999/d',
  'mysql://u:hunter2@db/d',
  'u:hunter2@db',
  'postgres://u:hunter2@db/d?sslrootcert=/does/not/exist',
])('%s is refused, and its password is not told', (url) => {
  let thrown: unknown;
  try {
    parse(url);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(InvalidPostgresSettings);
  expect(inspect(thrown, { depth: 10, showHidden: true })).not.toMatch(/hunter2|hun#|ter2/);
});

test('a certificate file without a certificate is refused', () => {
  const empty = join(folder, 'empty.pem');
  writeFileSync(empty, 'nothing');
  expect(() => parse('postgres://u@db/d', { tlsCa: empty })).toThrow(/holds no certificate/);
});

test('printed settings do not show the password', () => {
  expect(inspect(parse('postgres://u:hunter2@db/d'), { depth: 10, showHidden: true })).not.toContain(
    'hunter2',
  );
});
