import { expect, test } from 'vitest';
import { expiryNotice, renewalFailedNotice } from './notices.ts';

const input = {
  vaultHost: 'Contoso.vault.example.com',
  certificate: 'Web-Front',
  version: '0123456789abcdef0123456789abcdef',
  expires: Date.UTC(2027, 0, 31, 23, 59, 58) / 1000,
};
const renewAt = Date.UTC(2027, 0, 2, 3, 4, 5) / 1000;
const now = Date.UTC(2027, 0, 1) / 1000;
const failure = {
  ...input,
  error: { code: 'rejectedIdentifier', message: 'no such name' },
  retryAt: renewAt,
};

test('a notice of expiry names vault, certificate, version, end in UTC and what happens', () => {
  const { subject, text } = expiryNotice({ ...input, now, renewAt });
  expect(subject).toBe('Certificate Web-Front expires on 2027-01-31');
  expect(text).toBe(
    [
      'The certificate Web-Front comes to its end.',
      '',
      'Vault:       Contoso.vault.example.com',
      'Certificate: Web-Front',
      'Version:     0123456789abcdef0123456789abcdef',
      'Expires:     2027-01-31 23:59:58 UTC',
      '',
      'It will be renewed automatically, from 2027-01-02 03:04:05 UTC on. Nothing has to be done now.',
      '',
      'You are one of the contacts for certificates of this vault.',
      '',
    ].join('\n'),
  );
});

test('without a renewal somebody has to act', () => {
  expect(expiryNotice({ ...input, now, renewAt: undefined }).text).toContain(
    'will not be renewed automatically',
  );
});

test('a notice that comes after the end says so', () => {
  const late = { ...input, now: input.expires };
  const { subject, text } = expiryNotice({ ...late, renewAt });
  expect(subject).toBe('Certificate Web-Front expired on 2027-01-31');
  expect(text).toContain('The certificate Web-Front has expired.\n');
  expect(text).toContain('It has not been renewed yet');
  expect(text).not.toContain('Nothing has to be done');
  expect(expiryNotice({ ...late, renewAt: undefined }).text).toContain('somebody has to renew it.\n');
});

test('a failed renewal gives its reason and when it is tried again', () => {
  const { subject, text } = renewalFailedNotice(failure);
  expect(subject).toBe('Certificate Web-Front could not be renewed, expires on 2027-01-31');
  expect(text).toContain('Expires:     2027-01-31 23:59:58 UTC\n');
  expect(text).toContain('Reason: rejectedIdentifier: no such name\n');
  expect(text).toContain('tried again, from 2027-01-02 03:04:05 UTC on');
  expect(renewalFailedNotice({ ...failure, retryAt: undefined }).text).toContain('will not be tried again');
});

test('what an issuer says stays one line of bounded length', () => {
  const error = { code: 'a\r\nb', message: `x\n\nVault: another\u2028\u0007\u202e${'y'.repeat(5000)}` };
  const { text } = renewalFailedNotice({ ...failure, error });
  const reason = text.split('\n').find((line) => line.startsWith('Reason:'));
  expect(reason).toMatch(/^Reason: a b: x Vault: another y+…$/);
  expect(reason?.length).toBeLessThan(1100);
  for (const character of ['\u2028', '\u0007', '\u202e', '\r']) expect(text).not.toContain(character);
});

test('the id is the same for the same version and kind, however names are written, and another for others', () => {
  const notice = expiryNotice({ ...input, now, renewAt });
  expect(notice.id).toBe('<expiry.web-front.0123456789abcdef0123456789abcdef@contoso.vault.example.com>');
  const again = { ...input, vaultHost: 'contoso.vault.example.com', certificate: 'web-front' };
  expect(expiryNotice({ ...again, renewAt: undefined, now }).id).toBe(notice.id);
  const others = [
    renewalFailedNotice(failure).id,
    expiryNotice({ ...input, now, renewAt, version: 'f'.repeat(32) }).id,
    expiryNotice({ ...input, now, renewAt, vaultHost: 'fabrikam.vault.example.com' }).id,
  ];
  expect(new Set([notice.id, ...others]).size).toBe(4);
});

test('refuses what would end the id or the line', () => {
  expect(() => expiryNotice({ ...input, now, renewAt, vaultHost: 'x>\r\nBcc: eve@example.com' })).toThrow(
    RangeError,
  );
  expect(() => expiryNotice({ ...input, now, renewAt, certificate: 'a@b' })).toThrow(RangeError);
});
