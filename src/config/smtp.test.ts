import { join } from 'node:path';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { loadConfig } from '../config.ts';
import { smtpSettings } from './smtp.ts';

const file = import.meta.filename;
const least = { host: 'mail.example.com', from: 'vault@example.com' };

function messages(settings: unknown): string[] {
  return (v.safeParse(smtpSettings, settings).issues ?? []).map(({ message }) => message);
}

test('a host and a sender are enough: STARTTLS on the port for submissions', () => {
  expect(v.parse(smtpSettings, least)).toEqual({
    ...least,
    ...{ port: 587, secure: 'starttls', ca: undefined, user: undefined, passwordFile: undefined },
  });
});

test('each form has its own port, and a given one stands', () => {
  const port = (more: object) => v.parse(smtpSettings, { ...least, ...more }).port;
  expect(port({ secure: 'tls' })).toBe(465);
  expect(port({ secure: 'none' })).toBe(25);
  expect(port({ secure: 'none', port: 2525 })).toBe(2525);
});

test('a login with files that are there', () => {
  const given = { ...least, ca: file, user: 'strongroom', passwordFile: file };
  expect(v.parse(smtpSettings, given)).toMatchObject(given);
});

test.each([
  ['a password without TLS', { secure: 'none', user: 'x', passwordFile: file }, 'not sent without TLS'],
  ['a user without a password', { user: 'x' }, 'go together'],
  ['a password without a user', { passwordFile: file }, 'go together'],
  ['a file that is not there', { ca: join(file, 'none') }, 'file that can be read'],
  ['a sender with a name', { from: 'Vault <vault@example.com>' }, 'address without a name'],
  ['a sender with a line end', { from: 'vault@example.com\r\nBcc: x@example.com' }, 'address without a name'],
  ['a host with a path', { host: 'mail.example.com/x' }, 'host name'],
  ['an unknown member', { password: 'x' }, 'password'],
])('refuses %s', (_, more, said) => {
  expect(messages({ ...least, ...more }).join()).toContain(said);
});

test('without settings no mail is sent, and leaves of the authority within live for 90 days', () => {
  const config = (flags: object) => loadConfig({ flags: { ...flags }, environment: {} });
  expect(config({})).toMatchObject({ authority: { maxDays: 90 } });
  expect(config({}).smtp).toBeUndefined();
  expect(config({ smtp: least, authority: { maxDays: 7 } })).toMatchObject({
    smtp: { ...least, port: 587 },
    authority: { maxDays: 7 },
  });
  expect(() => config({ authority: { maxDays: 0 } })).toThrow('authority.maxDays');
  expect(() => config({ smtp: { ...least, secure: 'no' } })).toThrow('smtp.secure');
});
