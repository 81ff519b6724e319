import { expect, test } from 'vitest';
import { isMailAddress } from './address.ts';

test.each([
  'ops@example.com',
  'first.last+certificates@mail.example.co.uk',
  "o'brien@example.com",
  'root@localhost',
  `${'a'.repeat(64)}@example.com`,
])('%s is an address', (address) => {
  expect(isMailAddress(address)).toBe(true);
});

test.each([
  ['empty', ''],
  ['no host', 'ops'],
  ['no local part', '@example.com'],
  ['a line end, which would begin another header', 'ops@example.com\r\nBcc: all@example.com'],
  ['a line end in the local part', 'ops\n@example.com'],
  ['a list', 'ops@example.com, eve@example.net'],
  ['a name with an address', 'Ops <ops@example.com>'],
  ['angle brackets, which would end the command', 'ops@example.com> SIZE=1 <x@example.com'],
  ['a quoted local part', '"eve@example.net x"@example.com'],
  ['a source route', '@relay.example.net:ops@example.com'],
  ['a comment', 'ops(eve@example.net)@example.com'],
  ['two dots', 'ops..x@example.com'],
  ['a NUL', 'ops\0@example.com'],
  ['letters beyond ASCII', 'öps@example.com'],
  ['an address literal', 'ops@[127.0.0.1]'],
  ['a label that begins with a hyphen', 'ops@-example.com'],
  ['a local part of 65 characters', `${'a'.repeat(65)}@example.com`],
  [
    'more than 254 characters',
    `a@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.${'e'.repeat(60)}.${'f'.repeat(12)}`,
  ],
])('refuses %s', (_, address) => {
  expect(isMailAddress(address)).toBe(false);
});
